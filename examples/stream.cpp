// stream.c in C++17: greedy, every object frees itself, every failure is an exception.
#include <cuddle.h>

#include <iostream>
#include <memory>
#include <stdexcept>
#include <string_view>

template <auto release> struct releases {
    template <typename T> void operator()(T *object) const { release(object); }
};
using engine = std::unique_ptr<cuddle_engine, releases<cuddle_engine_free>>;
using model = std::unique_ptr<cuddle_model, releases<cuddle_model_free>>;
using request = std::unique_ptr<cuddle_request, releases<cuddle_request_free>>;

// Calls a function whose first parameter is `out` and whose last is `err`.
template <typename Owner, typename Function, typename... Arguments> Owner make(Function function, Arguments... arguments)
{
    typename Owner::pointer out = nullptr;
    cuddle_error err;
    if (function(&out, arguments..., &err) != CUDDLE_OK) throw std::runtime_error(err.text);
    return Owner(out);
}

static void generate(const char *path, std::string_view prompt)
{
    const auto e = make<engine>(cuddle_engine_new, nullptr);
    const auto m = make<model>(cuddle_model_load, e.get(), path, nullptr);

    cuddle_generation_options options;
    cuddle_generation_options_init(&options, sizeof options);
    options.max_tokens = 64;
    options.temperature = 0; // the likeliest token every time
    cuddle_segment segment{};
    segment.kind = CUDDLE_SEGMENT_TEXT;
    segment.text = prompt.data();
    segment.count = prompt.size();
    const auto r = make<request>(cuddle_request_submit, m.get(), &segment, 1, &options, nullptr, nullptr);

    for (bool ended = false; !ended;) { // asked before the text is fetched, so that nothing is missed
        ended = cuddle_request_finish(r.get()) != CUDDLE_FINISH_NONE;
        size_t length = 0;
        const char *text = cuddle_request_next_text(r.get(), &length);
        std::cout << std::string_view(text, length) << std::flush;
        if (!ended) cuddle_request_wait_text(r.get(), -1, nullptr);
    }
    cuddle_error err;
    if (cuddle_request_wait(r.get(), -1, &err) != CUDDLE_OK) throw std::runtime_error(err.text); // tells how it ended
}

int main(int argc, char **argv)
{
    if (argc != 3) return std::cerr << "usage: stream MODEL PROMPT\n", 2;
    try {
        generate(argv[1], argv[2]);
    } catch (const std::exception &failure) {
        return std::cerr << failure.what() << '\n', 1;
    }
}
