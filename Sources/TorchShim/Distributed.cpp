// Process groups: c10d's TCPStore to meet, Gloo to sum on CPUs, NCCL on CUDA; and a line between the processes on which
// the end of one is heard at once.
//
// Gloo's headers are Debian's libgloo-dev; what they describe is inside libtorch. NCCL is looked up in libnccl.so.2 when
// it is first needed, because nothing here is linked with CUDA.

#include "Shim.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#if __has_include(<gloo/algorithm.h>)
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace {

using Milliseconds = std::chrono::milliseconds;

Milliseconds milliseconds(double seconds) { return Milliseconds(static_cast<int64_t>(seconds * 1000)); }

// MARK: Who is alive

/// Sockets between rank 0 and each other rank, on which nothing is said but which rank ended. The kernel closes them
/// when a process ends, however it ends, so that the others need not wait for an answer that never comes.
class Lifeline {
 public:
  Lifeline(c10d::Store &store, const std::string &host, int rank, int size, double seconds, double grace,
           void (*lost)(int32_t, int32_t))
      : rank_(rank), size_(size), grace_(grace), tell_(lost) {
    if (rank == 0) accept(store, seconds);
    else connect(store, host, seconds);
    int ends[2];
    TORCH_CHECK(pipe(ends) == 0, "no pipe: ", std::strerror(errno));
    wakeRead_ = ends[0];
    wakeWrite_ = ends[1];
    thread_ = std::thread([this] { watch(); });
  }

  /// With `well`, says goodbye first.
  void close(bool well) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      leaving_ = true;
    }
    changed_.notify_all();
    if (well)
      for (const auto &line : lines_) say(line.socket, goodbye);
    ::close(wakeWrite_);
    thread_.join();
    ::close(wakeRead_);
    for (const auto &line : lines_) ::close(line.socket);
  }

  int lost(double seconds) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_for(lock, milliseconds(seconds), [this] { return lost_ >= 0; });
    return lost_;
  }

 private:
  struct Line {
    int socket;
    int rank;
    bool open;
  };

  static constexpr int32_t goodbye = -1;

  static void say(int socket, int32_t word) {
    // A peer that is gone is not an error here: its line tells.
#ifdef MSG_NOSIGNAL
    (void)!::send(socket, &word, sizeof word, MSG_NOSIGNAL);
#else
    (void)!::send(socket, &word, sizeof word, 0);
#endif
  }

  /// A socket that child processes do not get, for they would hold the line open.
  static int own(int socket) {
    if (socket >= 0) fcntl(socket, F_SETFD, FD_CLOEXEC);
#ifdef SO_NOSIGPIPE
    const int yes = 1;
    if (socket >= 0) setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof yes);
#endif
    return socket;
  }

  static bool hear(int socket, int32_t &word) {
    return ::recv(socket, &word, sizeof word, MSG_WAITALL) == sizeof word;
  }

  void accept(c10d::Store &store, double seconds) {
    const int listener = own(::socket(AF_INET6, SOCK_STREAM, 0));
    TORCH_CHECK(listener >= 0, "no socket: ", std::strerror(errno));
    const int no = 0;
    setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_any;
    socklen_t length = sizeof address;
    TORCH_CHECK(::bind(listener, reinterpret_cast<sockaddr *>(&address), length) == 0 &&
                    ::listen(listener, size_) == 0 &&
                    ::getsockname(listener, reinterpret_cast<sockaddr *>(&address), &length) == 0,
                "cannot listen: ", std::strerror(errno));
    const auto port = std::to_string(ntohs(address.sin6_port));
    store.set("lifeline", std::vector<uint8_t>(port.begin(), port.end()));
    const auto end = std::chrono::steady_clock::now() + milliseconds(seconds);
    while (lines_.size() + 1 < static_cast<size_t>(size_)) {
      const auto left = std::chrono::duration_cast<Milliseconds>(end - std::chrono::steady_clock::now()).count();
      pollfd waiting = {listener, POLLIN, 0};
      if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) <= 0) {
        ::close(listener);
        TORCH_CHECK(false, lines_.size() + 1, " of ", size_, " ranks came within ", seconds, " seconds");
      }
      const int socket = own(::accept(listener, nullptr, nullptr));
      int32_t rank = 0;
      if (socket < 0) continue;
      if (!hear(socket, rank) || rank < 1 || rank >= size_) {
        ::close(socket);
        continue;
      }
      lines_.push_back({socket, rank, true});
    }
    ::close(listener);
    keepAlive();
  }

  void connect(c10d::Store &store, const std::string &host, double seconds) {
    const auto text = store.get("lifeline");
    const std::string port(text.begin(), text.end());
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    TORCH_CHECK(getaddrinfo(host.c_str(), port.c_str(), &hints, &found) == 0, "unknown host ", host);
    int socket = -1;
    for (auto *entry = found; entry && socket < 0; entry = entry->ai_next) {
      socket = own(::socket(entry->ai_family, SOCK_STREAM, 0));
      if (socket >= 0 && ::connect(socket, entry->ai_addr, entry->ai_addrlen) != 0) {
        ::close(socket);
        socket = -1;
      }
    }
    freeaddrinfo(found);
    TORCH_CHECK(socket >= 0, "rank 0 does not answer at ", host, ":", port);
    say(socket, rank_);
    lines_.push_back({socket, 0, true});
    keepAlive();
  }

  /// A machine that loses its power says nothing; the kernel asks after half a minute of silence.
  void keepAlive() {
    const int yes = 1;
    for (const auto &line : lines_) setsockopt(line.socket, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
#ifdef TCP_KEEPIDLE
    const int idle = 20, interval = 5, count = 3;
    for (const auto &line : lines_) {
      setsockopt(line.socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
      setsockopt(line.socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
      setsockopt(line.socket, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    }
#endif
  }

  void watch() {
    while (true) {
      std::vector<pollfd> waiting = {{wakeRead_, POLLIN, 0}};
      for (const auto &line : lines_)
        waiting.push_back({line.open ? line.socket : -1, POLLIN, 0});
      if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
      if (waiting[0].revents) return;
      for (size_t i = 0; i < lines_.size(); ++i) {
        if (!waiting[i + 1].revents) continue;
        int32_t word = goodbye;
        const bool heard = hear(lines_[i].socket, word);
        lines_[i].open = false;
        if (heard && word == goodbye) continue;
        return end(heard ? word : lines_[i].rank);
      }
    }
  }

  void end(int32_t rank) {
    if (rank_ == 0)
      for (const auto &line : lines_)
        if (line.open) say(line.socket, rank);
    std::unique_lock<std::mutex> lock(mutex_);
    lost_ = rank;
    changed_.notify_all();
    const bool left = changed_.wait_for(lock, milliseconds(grace_), [this] { return leaving_; });
    if (!left) tell_(rank, size_);
  }

  const int rank_;
  const int size_;
  const double grace_;
  void (*const tell_)(int32_t, int32_t);
  std::vector<Line> lines_;
  int wakeRead_ = -1;
  int wakeWrite_ = -1;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool leaving_ = false;
  int lost_ = -1;
};

// MARK: NCCL

/// The few functions of NCCL's C interface (nccl.h, stable since version 2.0) that are needed.
struct NCCL {
  struct ID {
    char bytes[128];
  };
  using Communicator = void *;

  int (*getUniqueId)(ID *);
  int (*commInitRank)(Communicator *, int size, ID, int rank);
  int (*allReduce)(const void *, void *, size_t, int type, int op, Communicator, void *stream);
  int (*broadcast)(const void *, void *, size_t, int type, int root, Communicator, void *stream);
  int (*commAbort)(Communicator);
  const char *(*getErrorString)(int);

  static const NCCL &shared() {
    static const NCCL functions;
    return functions;
  }

  void check(int result) const { TORCH_CHECK(result == 0, "NCCL: ", getErrorString(result)); }

  static int type(at::ScalarType type) {
    switch (type) {
      case at::kByte: return 1;
      case at::kInt: return 2;
      case at::kLong: return 4;
      case at::kHalf: return 6;
      case at::kFloat: return 7;
      case at::kDouble: return 8;
      case at::kBFloat16: return 9;
      default: TORCH_CHECK_TYPE(false, "NCCL has no ", type);
    }
  }

 private:
  NCCL() {
    void *library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_GLOBAL);
    TORCH_CHECK(library, "libnccl.so.2 cannot be opened; the CUDA libraries come with make setup CUDA=1");
    const auto find = [&](const char *name, auto &function) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
      TORCH_CHECK(function, "libnccl.so.2 has no ", name);
    };
    find("ncclGetUniqueId", getUniqueId);
    find("ncclCommInitRank", commInitRank);
    find("ncclAllReduce", allReduce);
    find("ncclBroadcast", broadcast);
    find("ncclCommAbort", commAbort);
    find("ncclGetErrorString", getErrorString);
  }
};

// MARK: The group

/// What sums: Gloo or NCCL.
struct Collectives {
  virtual ~Collectives() = default;
  virtual void allReduce(at::Tensor tensor) = 0;
  virtual void broadcast(at::Tensor tensor, int root) = 0;
};

#ifdef USE_C10D_GLOO
struct GlooCollectives : Collectives {
  GlooCollectives(const c10::intrusive_ptr<c10d::Store> &store, const std::string &host, int rank, int size,
                  double seconds) {
    auto options = c10d::ProcessGroupGloo::Options::create(milliseconds(seconds));
    const char *interface = std::getenv("GLOO_SOCKET_IFNAME");
    const bool isLocal = host == "localhost" || host.rfind("127.", 0) == 0 || host == "::1";
    options->devices.push_back(interface ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                               : isLocal ? c10d::ProcessGroupGloo::createDeviceForHostname(host)
                                         : c10d::ProcessGroupGloo::createDefaultDevice());
    group_ = c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, options);
  }

  void allReduce(at::Tensor tensor) override {
    std::vector<at::Tensor> tensors = {tensor};
    group_->allreduce(tensors)->wait();
  }

  void broadcast(at::Tensor tensor, int root) override {
    std::vector<at::Tensor> tensors = {tensor};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    group_->broadcast(tensors, options)->wait();
  }

  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
};
#endif

struct NCCLCollectives : Collectives {
  NCCLCollectives(c10d::Store &store, at::Device device, int rank, int size)
      : device_(device), guard_(device.type()), nccl_(NCCL::shared()) {
    NCCL::ID id;
    if (rank == 0) {
      nccl_.check(nccl_.getUniqueId(&id));
      const auto *bytes = reinterpret_cast<const uint8_t *>(id.bytes);
      store.set("nccl", std::vector<uint8_t>(bytes, bytes + sizeof id));
    } else {
      const auto bytes = store.get("nccl");
      TORCH_CHECK(bytes.size() == sizeof id, "NCCL's name has ", bytes.size(), " bytes");
      std::memcpy(id.bytes, bytes.data(), sizeof id);
    }
    guard_.setDevice(device);
    nccl_.check(nccl_.commInitRank(&communicator_, size, id, rank));
  }

  ~NCCLCollectives() override { nccl_.commAbort(communicator_); }

  void allReduce(at::Tensor tensor) override {
    constexpr int sum = 0;
    nccl_.check(nccl_.allReduce(tensor.data_ptr(), tensor.data_ptr(), tensor.numel(),
                                NCCL::type(tensor.scalar_type()), sum, communicator_, stream()));
  }

  void broadcast(at::Tensor tensor, int root) override {
    nccl_.check(nccl_.broadcast(tensor.data_ptr(), tensor.data_ptr(), tensor.numel(),
                                NCCL::type(tensor.scalar_type()), root, communicator_, stream()));
  }

 private:
  void *stream() const { return guard_.getStream(device_).native_handle(); }

  const at::Device device_;
  const c10::impl::VirtualGuardImpl guard_;
  const NCCL &nccl_;
  NCCL::Communicator communicator_ = nullptr;
};

struct Group {
  c10::intrusive_ptr<c10d::Store> store;
  std::unique_ptr<Lifeline> lifeline;
  std::unique_ptr<Collectives> collectives;
  at::Device device = at::kCPU;

  static Group &of(vt_group_t group) { return *reinterpret_cast<Group *>(group); }
};

at::Tensor checked(const Group &group, vt_tensor_t reference) {
  auto tensor = borrow(reference);
  TORCH_CHECK_VALUE(tensor.is_contiguous(), "the tensor is not contiguous");
  TORCH_CHECK_VALUE(tensor.device().type() == group.device.type(), "the group is of ", group.device,
                    ", the tensor of ", tensor.device());
  return tensor.detach();
}

}  // namespace

namespace {

/// What libtorch takes for granted of the process that it runs in.
void prepareProcess() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Gloo and the store write to sockets of ranks that may be gone. That is an error, and not the end of this rank, only
    // where SIGPIPE is ignored, as Python does.
    struct sigaction action{};
    if (sigaction(SIGPIPE, nullptr, &action) == 0 && action.sa_handler == SIG_DFL) std::signal(SIGPIPE, SIG_IGN);
    // c10d's flight recorder, one for all groups of a process, adds to a map of theirs without its lock. Nobody reads it here.
    setenv("TORCH_FR_BUFFER_SIZE", "0", 0);
  });
}

}  // namespace

vt_status vt_group_join(const char *host, int32_t port, int32_t rank, int32_t size, bool launcher_listens,
                        const char *prefix, int32_t device_type, int32_t device_index, double seconds, double grace,
                        void (*lost)(int32_t, int32_t), vt_group_t *out) {
  return guarded([&] {
    prepareProcess();
    auto group = std::make_unique<Group>();
    const auto type = static_cast<at::DeviceType>(device_type);
    group->device = type == at::kCPU ? at::Device(type) : at::Device(type, static_cast<at::DeviceIndex>(device_index));
    c10d::TCPStoreOptions options;
    options.port = static_cast<uint16_t>(port);
    options.isServer = rank == 0 && !launcher_listens;
    options.numWorkers = size;
    // Rank 0's line counts who came, and says so.
    options.waitWorkers = false;
    options.timeout = milliseconds(seconds);
    group->store = c10::make_intrusive<c10d::PrefixStore>(
        prefix, c10::make_intrusive<c10d::TCPStore>(host, options));
    group->lifeline = std::make_unique<Lifeline>(*group->store, host, rank, size, seconds, grace, lost);
    try {
      if (type == at::kCPU) {
#ifdef USE_C10D_GLOO
        group->collectives = std::make_unique<GlooCollectives>(group->store, host, rank, size, seconds);
#else
        TORCH_CHECK_NOT_IMPLEMENTED(false, "this build has no Gloo; install libgloo-dev and build again");
#endif
      } else {
        group->collectives = std::make_unique<NCCLCollectives>(*group->store, group->device, rank, size);
      }
    } catch (...) {
      group->lifeline->close(false);
      throw;
    }
    *out = reinterpret_cast<vt_group_t>(group.release());
  });
}

void vt_group_leave(vt_group_t group, bool well) {
  std::unique_ptr<Group> owned(&Group::of(group));
  owned->lifeline->close(well);
}

int32_t vt_group_lost(vt_group_t group, double seconds) { return Group::of(group).lifeline->lost(seconds); }

vt_status vt_group_all_reduce(vt_group_t group, vt_tensor_t tensor) {
  return guarded([&] { Group::of(group).collectives->allReduce(checked(Group::of(group), tensor)); });
}

vt_status vt_group_broadcast(vt_group_t group, vt_tensor_t tensor, int32_t root) {
  return guarded([&] { Group::of(group).collectives->broadcast(checked(Group::of(group), tensor), root); });
}

vt_status vt_group_barrier(vt_group_t group) {
  return guarded([&] {
    auto &members = Group::of(group);
    auto one = at::ones({1}, at::TensorOptions().device(members.device));
    members.collectives->allReduce(one);
    // On CUDA the wait is for the number.
    (void)one.item();
  });
}
