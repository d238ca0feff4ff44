/* Graphs: what a stream and those that joined it were asked to do between begin and end of a capture, with the order they asked for.
 * A replay does the nodes last-ready-first, so that an edge that is missing shows. */
#include "stream.h"

#include <pthread.h>

namespace emu {

struct Graph {
    std::vector<Node> nodes;
};

struct Executable {
    std::vector<Node> nodes;
    int device = 0;
    std::shared_ptr<EventState> last_launch; /* two launches of one executable never overlap */
};

static std::set<Graph *> &graphs()
{
    static std::set<Graph *> &all = *new std::set<Graph *>;
    return all;
}

static std::set<Executable *> &executables()
{
    static std::set<Executable *> &all = *new std::set<Executable *>;
    return all;
}

static Graph *graph_of(cudaGraph_t handle)
{
    Graph *graph = reinterpret_cast<Graph *>(handle);
    if (!graphs().count(graph)) fail("%p is no graph, or one that was destroyed", static_cast<void *>(handle));
    return graph;
}

static Executable *executable_of(cudaGraphExec_t handle)
{
    Executable *executable = reinterpret_cast<Executable *>(handle);
    if (!executables().count(executable)) fail("%p is no instantiated graph, or one that was destroyed", static_cast<void *>(handle));
    return executable;
}

/* ---- capture ---- */

/* Is everything that the stream captured known to the origin at its end? */
static bool is_joined(const Capture &capture, const Stream *stream, const Stream *origin)
{
    if (stream == origin || stream->last < 0) return true;
    std::vector<bool> seen(capture.nodes.size());
    std::vector<int> todo = origin->joins;
    if (origin->last >= 0) todo.push_back(origin->last);
    while (!todo.empty()) {
        const int node = todo.back();
        todo.pop_back();
        if (seen[size_t(node)]) continue;
        seen[size_t(node)] = true;
        todo.insert(todo.end(), capture.nodes[size_t(node)].after.begin(), capture.nodes[size_t(node)].after.end());
    }
    return seen[size_t(stream->last)];
}

static cudaError_t end_capture(Stream *stream, cudaGraph_t *out)
{
    *out = nullptr;
    const std::shared_ptr<Capture> capture = stream->capture;
    if (!capture) return cudaErrorIllegalState;
    if (capture->origin != stream) return cudaErrorStreamCaptureUnmatched;
    if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != pthread_self()) return cudaErrorStreamCaptureWrongThread;
    bool joined = true;
    for (const Stream *other : capture->streams) joined = joined && is_joined(*capture, other, stream);
    for (Stream *other : capture->streams) {
        other->capture = nullptr;
        other->last = -1;
        other->joins.clear();
    }
    if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
    capture->invalid = true; /* for events that still point here */
    if (!joined) return cudaErrorStreamCaptureUnjoined;
    Graph *graph = new Graph{ std::move(capture->nodes) };
    graphs().insert(graph);
    *out = reinterpret_cast<cudaGraph_t>(graph);
    return cudaSuccess;
}

/* ---- replay ---- */

static size_t pick(const std::vector<size_t> &ready)
{
    if (options().streams == EMU_EAGER) return ready.front();
    if (options().streams == EMU_RANDOM_STREAMS) return ready[random_below(uint32_t(ready.size()))];
    return ready.back();
}

static void replay(const std::vector<Node> &nodes, const std::vector<Work> &works, int device)
{
    std::vector<int> missing(nodes.size()); /* what each still waits for */
    std::vector<std::vector<size_t>> next(nodes.size());
    std::vector<size_t> ready;
    for (size_t i = 0; i < nodes.size(); i++) {
        missing[i] = int(nodes[i].after.size());
        for (int before : nodes[i].after) next[size_t(before)].push_back(i);
        if (missing[i] == 0) ready.push_back(i);
    }
    while (!ready.empty()) {
        const size_t now = pick(ready);
        for (size_t i = 0; i < ready.size(); i++)
            if (ready[i] == now) ready.erase(ready.begin() + long(i));
        if (sticky_error(device) != cudaSuccess) return;
        works[now]();
        for (size_t i : next[now])
            if (--missing[i] == 0) ready.push_back(i);
    }
}

static cudaError_t launch_graph(Executable *executable, Stream *stream)
{
    if (stream->device != executable->device) return cudaErrorInvalidResourceHandle;
    if (stream->capture) {
        stream->capture->invalid = true; /* graphs in graphs are not imitated */
        return cudaErrorStreamCaptureUnsupported;
    }
    if (stream->is_default && capture_forbids(false)) return cudaErrorStreamCaptureImplicit;
    counters().graph_launches++;
    std::shared_ptr<EventState> before = executable->last_launch;
    if (before && before->done < before->recorded) {
        Item wait;
        wait.wait = before;
        wait.version = before->recorded;
        add_item(stream, std::move(wait));
    }
    std::vector<Work> works;
    for (const Node &node : executable->nodes) works.push_back(node.op.begin());
    const std::shared_ptr<EventState> done = std::make_shared<EventState>();
    done->on = stream;
    Item item;
    item.run = [nodes = executable->nodes, works, device = stream->device] { replay(nodes, works, device); };
    item.record = done;
    item.version = ++done->recorded;
    executable->last_launch = done;
    add_item(stream, std::move(item));
    return sticky_error(stream->device);
}

} // namespace emu

using namespace emu;

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    Stream *stream = stream_of(handle);
    if (stream->is_default) return call.fail(cudaErrorStreamCaptureUnsupported);
    if (stream->capture) return call.fail(cudaErrorIllegalState);
    stream->capture = std::make_shared<Capture>();
    stream->capture->origin = stream;
    stream->capture->streams.insert(stream);
    stream->capture->mode = mode;
    stream->capture->thread = pthread_self();
    stream->last = -1;
    stream->joins.clear();
    return call.done();
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *out)
{
    Call call(__func__);
    if (call.injected()) return call.error();
    return call.done(end_capture(stream_of(handle), out));
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus *status)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    const Stream *stream = stream_of(handle);
    *status = !stream->capture ? cudaStreamCaptureStatusNone : stream->capture->invalid ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
    return call.done();
}

static cudaError_t instantiate(Call &call, cudaGraphExec_t *out, cudaGraph_t handle)
{
    if (call.refused()) return call.error();
    Executable *executable = new Executable{ graph_of(handle)->nodes, current_device(), nullptr };
    executables().insert(executable);
    *out = reinterpret_cast<cudaGraphExec_t>(executable);
    return call.done();
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long)
{
    Call call(__func__);
    return instantiate(call, out, graph);
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long)
{
    Call call(__func__);
    return instantiate(call, out, graph);
}

cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t stream)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    executable_of(executable);
    stream_of(stream);
    return call.done();
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    return call.done(launch_graph(executable_of(executable), stream_of(stream)));
}

cudaError_t cudaGraphGetNodes(cudaGraph_t handle, cudaGraphNode_t *, size_t *count)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    *count = graph_of(handle)->nodes.size();
    return call.done();
}

cudaError_t cudaGraphDestroy(cudaGraph_t handle)
{
    Call call(__func__);
    if (call.injected()) return call.error();
    Graph *graph = graph_of(handle);
    graphs().erase(graph);
    delete graph;
    return call.done();
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t handle)
{
    Call call(__func__);
    if (call.injected()) return call.error();
    Executable *executable = executable_of(handle);
    executables().erase(executable);
    delete executable; /* launches under way have copies */
    return call.done();
}

void graphs_live(emu_live *out)
{
    out->graphs = int(graphs().size());
    out->graph_execs = int(executables().size());
}
