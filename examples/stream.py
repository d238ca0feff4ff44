#!/usr/bin/env python3
"""stream.c in Python with nothing but ctypes, greedy: python3 stream.py MODEL PROMPT

CUDDLE_LIBRARY is the path of libcuddle.so.0 if the system does not find it by its name."""
import ctypes
import os
import sys
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_int32, c_size_t, c_void_p


class Error(ctypes.Structure):
    _fields_ = [("status", c_int), ("text", ctypes.c_char * 252)]


class Segment(ctypes.Structure):
    _fields_ = [("kind", c_int), ("text", c_char_p), ("tokens", POINTER(c_int32)), ("count", c_size_t)]


class Event(ctypes.Structure):
    _fields_ = [("text", POINTER(ctypes.c_char)), ("length", c_size_t), ("tokens", POINTER(c_int32)), ("token_count", c_size_t), ("finish", c_int)]


class GenerationOptions(ctypes.Structure):
    """The beginning of the struct, which is all that this program sets: the library leaves the rest as it is by default."""
    _fields_ = [("struct_size", c_size_t), ("max_tokens", c_int), ("temperature", c_float)]


on_event_type = ctypes.CFUNCTYPE(None, c_void_p, POINTER(Event), c_void_p)

cuddle = ctypes.CDLL(os.environ.get("CUDDLE_LIBRARY", "libcuddle.so.0"))
SIGNATURES = {
    "cuddle_engine_new": [POINTER(c_void_p), c_void_p, POINTER(Error)],
    "cuddle_model_load": [POINTER(c_void_p), c_void_p, c_char_p, c_void_p, POINTER(Error)],
    "cuddle_generation_options_init": [POINTER(GenerationOptions), c_size_t],
    "cuddle_request_submit": [POINTER(c_void_p), c_void_p, POINTER(Segment), c_size_t, POINTER(GenerationOptions), on_event_type, c_void_p, POINTER(Error)],
    "cuddle_request_wait": [c_void_p, c_int, POINTER(Error)],
    "cuddle_request_free": [c_void_p],
    "cuddle_model_free": [c_void_p],
    "cuddle_engine_free": [c_void_p],
}
for name, arguments in SIGNATURES.items():
    getattr(cuddle, name).argtypes = arguments  # or pointers would be cut to int


def check(function, *arguments):
    err = Error()
    if function(*arguments, byref(err)) != 0:
        raise RuntimeError(err.text.decode())


@on_event_type
def on_event(_request, event, _user):
    """Called from the engine's thread, with whole characters."""
    sys.stdout.buffer.write(ctypes.string_at(event.contents.text, event.contents.length))
    sys.stdout.buffer.flush()


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: stream.py MODEL PROMPT")
    prompt = os.fsencode(sys.argv[2])
    engine, model, request = c_void_p(), c_void_p(), c_void_p()
    options = GenerationOptions()
    cuddle.cuddle_generation_options_init(byref(options), ctypes.sizeof(options))
    options.max_tokens = 64
    options.temperature = 0  # the likeliest token every time
    try:
        check(cuddle.cuddle_engine_new, byref(engine), None)
        check(cuddle.cuddle_model_load, byref(model), engine, os.fsencode(sys.argv[1]), None)
        check(cuddle.cuddle_request_submit, byref(request), model, byref(Segment(0, prompt, None, len(prompt))), 1, byref(options), on_event, None)
        check(cuddle.cuddle_request_wait, request, -1)
    except RuntimeError as failure:
        sys.exit(str(failure))
    finally:
        cuddle.cuddle_request_free(request)
        cuddle.cuddle_model_free(model)
        cuddle.cuddle_engine_free(engine)


if __name__ == "__main__":
    main()
