//! stream.c in Rust without a crate, greedy: rustc stream.rs -L LIBDIR -l cuddle && ./stream MODEL PROMPT
use std::ffi::{c_char, c_float, c_int, c_void, CStr, CString};
use std::io::Write;
use std::mem::size_of;
use std::ptr::{null, null_mut};

/// Opaque objects of the library.
type Object = *mut c_void;

#[repr(C)]
struct Error {
    status: c_int,
    text: [c_char; 252],
}

#[repr(C)]
struct Segment {
    kind: c_int,
    text: *const c_char,
    tokens: *const i32,
    count: usize,
}

#[repr(C)]
struct Event {
    text: *const c_char,
    length: usize,
    tokens: *const i32,
    token_count: usize,
    finish: c_int,
}

/// The beginning of the struct, which is all that this program sets: the library leaves the rest as it is by default.
#[repr(C)]
struct GenerationOptions {
    struct_size: usize,
    max_tokens: c_int,
    temperature: c_float,
}

type OnEvent = extern "C" fn(Object, *const Event, *mut c_void);

extern "C" {
    fn cuddle_engine_new(out: *mut Object, options: *const c_void, err: *mut Error) -> c_int;
    fn cuddle_engine_free(engine: Object);
    fn cuddle_model_load(out: *mut Object, engine: Object, path: *const c_char, options: *const c_void, err: *mut Error) -> c_int;
    fn cuddle_model_free(model: Object);
    fn cuddle_generation_options_init(options: *mut GenerationOptions, size: usize);
    fn cuddle_request_submit(
        out: *mut Object, model: Object, segments: *const Segment, count: usize, options: *const GenerationOptions,
        on_event: Option<OnEvent>, user: *mut c_void, err: *mut Error,
    ) -> c_int;
    fn cuddle_request_wait(request: Object, timeout_ms: c_int, err: *mut Error) -> c_int;
    fn cuddle_request_free(request: Object);
}

/// An object and the function that releases it.
struct Owned(Object, unsafe extern "C" fn(Object));

impl Drop for Owned {
    fn drop(&mut self) {
        unsafe { (self.1)(self.0) }
    }
}

fn check(call: impl FnOnce(*mut Error) -> c_int) -> Result<(), String> {
    let mut err = Error { status: 0, text: [0; 252] };
    if call(&mut err) == 0 {
        return Ok(());
    }
    Err(unsafe { CStr::from_ptr(err.text.as_ptr()) }.to_string_lossy().into_owned())
}

fn make(free: unsafe extern "C" fn(Object), call: impl FnOnce(*mut Object, *mut Error) -> c_int) -> Result<Owned, String> {
    let mut object = Owned(null_mut(), free); // NULL may be freed
    check(|err| call(&mut object.0, err))?;
    Ok(object)
}

/// Called from the engine's thread, with whole characters.
extern "C" fn on_event(_request: Object, event: *const Event, _user: *mut c_void) {
    let event = unsafe { &*event };
    if event.length > 0 {
        let text = unsafe { std::slice::from_raw_parts(event.text.cast::<u8>(), event.length) };
        let mut out = std::io::stdout();
        let _ = out.write_all(text).and_then(|()| out.flush());
    }
}

fn generate(path: &str, prompt: &str) -> Result<(), String> {
    let path = CString::new(path).map_err(|e| e.to_string())?;
    let segment = Segment { kind: 0, text: prompt.as_ptr().cast(), tokens: null(), count: prompt.len() };
    let mut options = GenerationOptions { struct_size: 0, max_tokens: 0, temperature: 0.0 };
    unsafe { cuddle_generation_options_init(&mut options, size_of::<GenerationOptions>()) };
    options.max_tokens = 64;
    options.temperature = 0.0; // the likeliest token every time

    let engine = make(cuddle_engine_free, |out, err| unsafe { cuddle_engine_new(out, null(), err) })?;
    let model = make(cuddle_model_free, |out, err| unsafe { cuddle_model_load(out, engine.0, path.as_ptr(), null(), err) })?;
    let request = make(cuddle_request_free, |out, err| unsafe {
        cuddle_request_submit(out, model.0, &segment, 1, &options, Some(on_event), null_mut(), err)
    })?;
    check(|err| unsafe { cuddle_request_wait(request.0, -1, err) })
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() != 3 {
        eprintln!("usage: stream MODEL PROMPT");
        std::process::exit(2);
    }
    if let Err(sentence) = generate(&arguments[1], &arguments[2]) {
        eprintln!("{sentence}");
        std::process::exit(1);
    }
}
