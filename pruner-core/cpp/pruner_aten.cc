#include "pruner_aten.h"
#include "pruner_fold.h"
#include "pruner_gather.h"
#include "pruner_memory.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/EmptyTensor.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/safe_numerics.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/library.h>
#include <torch/version.h>

namespace {

char *message_of(const std::string &text) { return strdup(text.c_str()); }

} // namespace

// Every entry that can fail is the body of this.
#define PA_GUARD(...)                                                                                                  \
  try {                                                                                                                \
    __VA_ARGS__                                                                                                        \
    return nullptr;                                                                                                    \
  } catch (const c10::Error &error) {                                                                                  \
    return message_of(error.what_without_backtrace());                                                                 \
  } catch (const std::exception &error) {                                                                              \
    return message_of(error.what());                                                                                   \
  } catch (...) {                                                                                                      \
    return message_of("unknown exception");                                                                            \
  }

void pa_free_message(char *message) { free(message); }

// ---------------------------------------------------------------------------------------------------------------------
// The CUDA library: with `--as-needed` nothing links it, so that it is loaded by hand where there is a driver.

namespace {

std::string load_cuda() {
  if (dlsym(RTLD_DEFAULT, "_ZN2at4cuda4warp_sizeEv"))
    return "linked";
  if (!dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL))
    return "no driver: libcuda.so.1 was not found";
  std::string path = "libtorch_cuda.so";
  Dl_info info;
  if (dladdr(reinterpret_cast<void *>(&at::globalContext), &info) && info.dli_fname) {
    std::string folder = info.dli_fname;
    auto slash = folder.rfind('/');
    if (slash != std::string::npos)
      path = folder.substr(0, slash + 1) + path;
  }
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL))
    return "loaded";
  const char *error = dlerror();
  return std::string("not loaded: ") + (error ? error : path.c_str());
}

} // namespace

void pa_init(const char **state) {
  static const std::string outcome = [] {
    try {
      return load_cuda();
    } catch (...) {
      return std::string("not loaded: an exception was thrown");
    }
  }();
  *state = outcome.c_str();
}

// ---------------------------------------------------------------------------------------------------------------------
// Operators

struct pa_op {
  c10::OperatorHandle handle;
};

namespace {

bool is_optional(const c10::TypePtr &type) { return type->kind() == c10::TypeKind::OptionalType; }

c10::TypePtr required(const c10::TypePtr &type) {
  return is_optional(type) ? type->expectRef<c10::OptionalType>().getElementType() : type;
}

bool holds_tensors(const c10::TypePtr &type) {
  c10::TypePtr inner = required(type);
  if (inner->kind() == c10::TypeKind::ListType)
    inner = required(inner->expectRef<c10::ListType>().getElementType());
  return inner->kind() == c10::TypeKind::TensorType;
}

bool is_written(const c10::Argument &argument) {
  return argument.alias_info() != nullptr && argument.alias_info()->isWrite();
}

} // namespace

char *pa_op_find(const char *name, const char *overload, pa_op **out) {
  PA_GUARD({
    auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
    TORCH_CHECK(handle.has_value(), "libtorch has no operator of this name and overload");
    *out = new pa_op{*handle};
  })
}

void pa_op_free(pa_op *op) { delete op; }

size_t pa_op_arguments(const pa_op *op) { return op->handle.schema().arguments().size(); }

char *pa_op_argument(const pa_op *op, size_t index, const char **name, int32_t *bits) {
  PA_GUARD({
    const c10::Argument &argument = op->handle.schema().arguments().at(index);
    *name = argument.name().c_str();
    *bits = (is_written(argument) ? 1 : 0) | (holds_tensors(argument.type()) ? 2 : 0) |
            (required(argument.type())->kind() == c10::TypeKind::DeviceObjType ? 4 : 0) |
            (argument.kwarg_only() ? 8 : 0);
  })
}

size_t pa_op_results(const pa_op *op) { return op->handle.schema().returns().size(); }

int32_t pa_op_result(const pa_op *op, size_t index) {
  c10::TypePtr type = required(op->handle.schema().returns()[index].type());
  if (!holds_tensors(type))
    return 0;
  return type->kind() == c10::TypeKind::ListType ? 2 : 1;
}

int32_t pa_op_random(const pa_op *op) { return op->handle.hasTag(at::Tag::nondeterministic_seeded) ? 1 : 0; }

// ---------------------------------------------------------------------------------------------------------------------
// Prepared calls: a stack of arguments in which the tensors are left open.

struct pa_call {
  enum class Open { Tensor, List, OptionalList };
  struct Slot {
    size_t position;
    Open open;
    std::vector<int64_t> present;
  };

  c10::OperatorHandle handle;
  torch::jit::Stack arguments;
  std::vector<Slot> slots;
  size_t tensors = 0;
  // Where the arguments are that say whether the network trains, and the probabilities that are 0 when it does not.
  std::vector<size_t> training;
  std::vector<size_t> dropout;
};

namespace {

std::string place(const c10::Argument &argument) { return "argument `" + argument.name() + "`"; }

[[noreturn]] void mismatch(const c10::Argument &argument) {
  TORCH_CHECK(false, place(argument), " is of another type than ", argument.type()->str());
  abort();
}

c10::IValue wrapped_number(const c10::Scalar &value) {
  at::Tensor tensor = at::scalar_to_tensor(value);
  tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
  return tensor;
}

std::optional<c10::Scalar> scalar_of(const pa_arg &arg) {
  switch (arg.tag) {
  case PA_BOOL:
    return c10::Scalar(arg.i != 0);
  case PA_INT:
    return c10::Scalar(arg.i);
  case PA_FLOAT:
    return c10::Scalar(arg.f);
  default:
    return std::nullopt;
  }
}

// How often a single number stands for a list: `int[2] stride=1`.
size_t repetition(const c10::Argument &argument) { return std::max(argument.N().value_or(1), 1); }

c10::IValue list_of(const c10::Argument &argument, const c10::TypePtr &element, const pa_arg &arg, pa_call &call) {
  switch (element->kind()) {
  case c10::TypeKind::TensorType:
    if (arg.tag != PA_TENSORS)
      mismatch(argument);
    call.slots.push_back({call.arguments.size(), pa_call::Open::List, {arg.ints, arg.ints + arg.len}});
    for (int64_t present : call.slots.back().present) {
      TORCH_CHECK(present, place(argument), " may not hold an absent tensor");
      ++call.tensors;
    }
    return {};
  case c10::TypeKind::OptionalType:
    if (arg.tag != PA_TENSORS)
      mismatch(argument);
    call.slots.push_back({call.arguments.size(), pa_call::Open::OptionalList, {arg.ints, arg.ints + arg.len}});
    for (int64_t present : call.slots.back().present)
      call.tensors += present != 0;
    return {};
  case c10::TypeKind::IntType:
    if (arg.tag == PA_INT)
      return c10::List<int64_t>(std::vector<int64_t>(repetition(argument), arg.i));
    if (arg.tag == PA_INTS)
      return c10::List<int64_t>(c10::ArrayRef<int64_t>(arg.ints, arg.len));
    break;
  case c10::TypeKind::FloatType:
    if (arg.tag == PA_FLOAT || arg.tag == PA_INT)
      return c10::List<double>(
          std::vector<double>(repetition(argument), arg.tag == PA_INT ? static_cast<double>(arg.i) : arg.f));
    if (arg.tag == PA_FLOATS)
      return c10::List<double>(c10::ArrayRef<double>(arg.floats, arg.len));
    if (arg.tag == PA_INTS)
      return c10::List<double>(std::vector<double>(arg.ints, arg.ints + arg.len));
    break;
  case c10::TypeKind::BoolType: {
    c10::List<bool> list;
    if (arg.tag == PA_BOOL) {
      for (size_t i = 0; i < repetition(argument); ++i)
        list.push_back(arg.i != 0);
      return list;
    }
    if (arg.tag == PA_BOOLS || (arg.tag == PA_INTS && arg.len == 0)) {
      for (size_t i = 0; i < arg.len; ++i)
        list.push_back(arg.ints[i] != 0);
      return list;
    }
    break;
  }
  case c10::TypeKind::NumberType: {
    c10::List<at::Scalar> list;
    if (arg.tag == PA_INTS || arg.tag == PA_BOOLS || arg.tag == PA_FLOATS) {
      for (size_t i = 0; i < arg.len; ++i)
        list.push_back(arg.tag == PA_FLOATS ? at::Scalar(arg.floats[i]) : at::Scalar(arg.ints[i]));
      return list;
    }
    break;
  }
  default:
    break;
  }
  mismatch(argument);
}

c10::IValue value_of(const c10::Argument &argument, const pa_arg &arg, pa_call &call) {
  c10::TypePtr type = required(argument.type());
  if (arg.tag == PA_NONE) {
    if (is_optional(argument.type()))
      return {};
    if (type->kind() == c10::TypeKind::TensorType)
      return at::Tensor();
    TORCH_CHECK(false, place(argument), " may not be absent");
  }
  switch (type->kind()) {
  case c10::TypeKind::TensorType:
    if (arg.tag == PA_TENSOR) {
      call.slots.push_back({call.arguments.size(), pa_call::Open::Tensor, {}});
      ++call.tensors;
      return {};
    }
    if (auto scalar = scalar_of(arg))
      return wrapped_number(*scalar);
    break;
  case c10::TypeKind::ListType:
    return list_of(argument, type->expectRef<c10::ListType>().getElementType(), arg, call);
  case c10::TypeKind::IntType:
  case c10::TypeKind::SymIntType:
    if (arg.tag == PA_INT || arg.tag == PA_BOOL || arg.tag == PA_DTYPE || arg.tag == PA_LAYOUT ||
        arg.tag == PA_MEMORY_FORMAT)
      return arg.i;
    break;
  case c10::TypeKind::FloatType:
    if (arg.tag == PA_FLOAT)
      return arg.f;
    if (arg.tag == PA_INT)
      return static_cast<double>(arg.i);
    break;
  case c10::TypeKind::BoolType:
    if (arg.tag == PA_BOOL || arg.tag == PA_INT)
      return arg.i != 0;
    break;
  case c10::TypeKind::NumberType:
    if (auto scalar = scalar_of(arg))
      return *scalar;
    break;
  case c10::TypeKind::StringType:
    if (arg.tag == PA_STR)
      return std::string(arg.s);
    break;
  case c10::TypeKind::DeviceObjType:
    if (arg.tag == PA_DEVICE || arg.tag == PA_STR)
      return c10::Device(std::string(arg.s));
    break;
  default:
    break;
  }
  mismatch(argument);
}

void note_modes(const c10::FunctionSchema &schema, pa_call &call) {
  std::optional<bool> running;
  const auto &arguments = schema.arguments();
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].name() == "running_mean") {
      bool open = std::any_of(call.slots.begin(), call.slots.end(), [&](const auto &slot) { return slot.position == i; });
      running = open;
    }
  }
  // A norm that keeps no statistics always takes those of its input.
  bool switchable = running.value_or(true);
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string &name = arguments[i].name();
    bool is_bool = required(arguments[i].type())->kind() == c10::TypeKind::BoolType;
    if (is_bool && switchable && (name == "train" || name == "training" || name == "use_input_stats"))
      call.training.push_back(i);
    if (name == "dropout_p" && call.arguments[i].isDouble())
      call.dropout.push_back(i);
  }
}

void emit_results(c10::IValue value, void *sink, void (*emit)(void *, at::Tensor *)) {
  if (value.isTensor()) {
    emit(sink, new at::Tensor(std::move(value).toTensor()));
  } else if (value.isTensorList()) {
    for (const at::Tensor &tensor : value.toTensorList())
      emit(sink, new at::Tensor(tensor));
  }
}

} // namespace

char *pa_call_new(const pa_op *op, const pa_arg *args, size_t len, pa_call **out) {
  PA_GUARD({
    const c10::FunctionSchema &schema = op->handle.schema();
    auto call = std::unique_ptr<pa_call>(new pa_call{op->handle});
    size_t found = 0;
    for (const c10::Argument &argument : schema.arguments()) {
      const pa_arg *arg = std::find_if(args, args + len, [&](const pa_arg &a) { return argument.name() == a.name; });
      if (arg != args + len) {
        ++found;
        c10::IValue value = value_of(argument, *arg, *call);
        call->arguments.push_back(std::move(value));
      } else if (argument.default_value().has_value()) {
        call->arguments.push_back(*argument.default_value());
      } else {
        TORCH_CHECK(is_optional(argument.type()), place(argument), " is missing");
        call->arguments.emplace_back();
      }
    }
    for (size_t i = 0; found != len && i < len; ++i)
      TORCH_CHECK(schema.argumentIndexWithName(args[i].name).has_value(), "there is no argument `", args[i].name, "`");
    TORCH_CHECK(found == len, "an argument is given twice");
    note_modes(schema, *call);
    *out = call.release();
  })
}

void pa_call_free(pa_call *call) { delete call; }

char *pa_call_run(const pa_call *call, at::Tensor *const *tensors, size_t len, int32_t mode, void *sink,
                  void (*emit)(void *sink, at::Tensor *result)) {
  PA_GUARD({
    TORCH_CHECK(len == call->tensors, "the call takes ", call->tensors, " tensors and was given ", len);
    // The room of a stack is used again by the next call of the thread; a call within this one finds none and makes its own.
    static thread_local torch::jit::Stack spare;
    torch::jit::Stack stack = std::move(spare);
    stack.assign(call->arguments.begin(), call->arguments.end());
    for (const pa_call::Slot &slot : call->slots) {
      switch (slot.open) {
      case pa_call::Open::Tensor:
        stack[slot.position] = **tensors++;
        break;
      case pa_call::Open::List: {
        c10::List<at::Tensor> list;
        list.reserve(slot.present.size());
        for (size_t i = 0; i < slot.present.size(); ++i)
          list.push_back(**tensors++);
        stack[slot.position] = std::move(list);
        break;
      }
      case pa_call::Open::OptionalList: {
        c10::List<std::optional<at::Tensor>> list;
        list.reserve(slot.present.size());
        for (int64_t present : slot.present)
          list.push_back(present ? std::optional<at::Tensor>(**tensors++) : std::nullopt);
        stack[slot.position] = std::move(list);
        break;
      }
      }
    }
    if (mode >= 0) {
      for (size_t position : call->training)
        stack[position] = mode == 1;
      for (size_t position : call->dropout)
        if (mode == 0)
          stack[position] = 0.0;
    }
    call->handle.callBoxed(stack);
    for (c10::IValue &value : stack)
      emit_results(std::move(value), sink, emit);
    stack.clear();
    spare = std::move(stack);
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// The recorder: a kernel for all operators at a dispatch key of its own, above autograd and autocast, which this thread
// includes while it traces. It sees what the closure calls and, since the key is excluded below it, nothing of what
// those operators call in turn. A record function would see the same, but could not tell `dropout(x)` from `x`: an
// operator that returns its argument here returns an alias of it, a tensor of its own.

namespace {

constexpr c10::DispatchKey kRecorder = c10::DispatchKey::TESTING_ONLY_GenericMode;

struct OwnedArg {
  std::string text;
  std::vector<int64_t> ints;
  std::vector<double> floats;
};

struct Record {
  c10::OperatorHandle handle;
  std::vector<pa_arg> args;
  std::vector<OwnedArg> owned;
  std::vector<int64_t> results;
  std::vector<std::vector<int64_t>> sizes;
  std::vector<pa_tensor> metas;
  bool dropped = false;
  bool no_grad = false;
};

enum class Fresh { No, Zeros, Empty };

// A tensor that was seen, held weakly where a recorded operator made it: its memory goes as in the closure alone, and
// yet no later tensor can get its address.
struct Entry {
  c10::weak_intrusive_ptr<c10::TensorImpl> impl;
  std::optional<c10::weak_intrusive_ptr<c10::StorageImpl>> storage;
  uintptr_t storage_address = 0;
  at::Tensor given;
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
  int64_t offset = 0;
  Fresh fresh = Fresh::No;
  size_t maker = 0;
  bool restored = false;
};

struct Snapshot {
  at::Tensor tensor;
  at::Tensor copy;
};

} // namespace

struct pa_trace {
  std::vector<Entry> entries;
  // Further handles on the tensor of an entry, held so that their addresses are not given to others.
  std::vector<c10::weak_intrusive_ptr<c10::TensorImpl>> twins;
  std::unordered_map<c10::TensorImpl *, int64_t> by_impl;
  std::unordered_map<uintptr_t, std::vector<int64_t>> by_storage;
  std::vector<Record> records;
  std::vector<std::string> notes;
  std::vector<Snapshot> snapshots;
  std::vector<std::pair<at::Generator, at::Tensor>> generators;
  std::string failure;
  size_t variables = 0;
  bool running = false;
};

namespace {

thread_local pa_trace *current = nullptr;

void fail(pa_trace &trace, const std::string &message) {
  if (trace.failure.empty())
    trace.failure = message;
}

void note(pa_trace &trace, std::string text) {
  if (std::find(trace.notes.begin(), trace.notes.end(), text) == trace.notes.end())
    trace.notes.push_back(std::move(text));
}

std::string name_of(const c10::OperatorHandle &handle) { return handle.operator_name().name; }

bool is_plain(const at::Tensor &tensor) { return tensor.layout() == at::kStrided && !tensor.is_quantized(); }

int64_t add_entry(pa_trace &trace, const at::Tensor &tensor, bool given) {
  auto index = static_cast<int64_t>(trace.entries.size());
  Entry entry{c10::weak_intrusive_ptr<c10::TensorImpl>(tensor.getIntrusivePtr())};
  if (is_plain(tensor)) {
    entry.sizes = tensor.sizes().vec();
    entry.strides = tensor.strides().vec();
    entry.offset = tensor.storage_offset();
  }
  if (tensor.has_storage()) {
    // The handle is taken by copy, since a storage gives no pointer that can be weakened in place.
    c10::Storage storage = tensor.storage();
    auto pointer = c10::intrusive_ptr<c10::StorageImpl>::reclaim_copy(storage.unsafeGetStorageImpl());
    entry.storage = c10::weak_intrusive_ptr<c10::StorageImpl>(pointer);
    entry.storage_address = reinterpret_cast<uintptr_t>(pointer.get());
    trace.by_storage[entry.storage_address].push_back(index);
  }
  if (given)
    entry.given = tensor;
  trace.by_impl[tensor.unsafeGetTensorImpl()] = index;
  trace.entries.push_back(std::move(entry));
  return index;
}

bool holds_only_zeros(const at::Tensor &tensor) {
  if (!tensor.is_cpu() || !tensor.is_non_overlapping_and_dense())
    return true;
  const char *data = static_cast<const char *>(tensor.const_data_ptr());
  return std::all_of(data, data + tensor.nbytes(), [](char byte) { return byte == 0; });
}

// A tensor made from data outside libtorch begins as zeros (or as nothing) and is then filled by hand, which no operator
// tells of. What it holds when it is first used shows that.
void settle_fresh(pa_trace &trace, Entry &entry, const at::Tensor &tensor, bool written) {
  Fresh fresh = std::exchange(entry.fresh, Fresh::No);
  if (fresh == Fresh::No || written)
    return;
  if (fresh == Fresh::Empty ? tensor.is_cpu() : !holds_only_zeros(tensor)) {
    entry.given = tensor;
    trace.records[entry.maker].dropped = true;
  }
}

int64_t entry_of(pa_trace &trace, const at::Tensor &tensor, bool written) {
  if (!tensor.defined())
    return -1;
  if (auto found = trace.by_impl.find(tensor.unsafeGetTensorImpl()); found != trace.by_impl.end()) {
    settle_fresh(trace, trace.entries[found->second], tensor, written);
    return found->second;
  }
  TORCH_CHECK(is_plain(tensor), "a sparse or quantised tensor cannot be traced");
  if (tensor.has_storage()) {
    auto address = reinterpret_cast<uintptr_t>(tensor.storage().unsafeGetStorageImpl());
    if (auto found = trace.by_storage.find(address); found != trace.by_storage.end()) {
      bool traced = false;
      for (int64_t index : found->second) {
        Entry &entry = trace.entries[index];
        if (entry.sizes == tensor.sizes() && entry.strides == tensor.strides() &&
            entry.offset == tensor.storage_offset()) {
          settle_fresh(trace, entry, tensor, written);
          trace.twins.emplace_back(tensor.getIntrusivePtr());
          trace.by_impl[tensor.unsafeGetTensorImpl()] = index;
          return index;
        }
        traced |= !entry.given.defined() || static_cast<size_t>(index) < trace.variables;
      }
      TORCH_CHECK(!traced, "a tensor shares the memory of a variable or of a result, and no operator of the closure "
                           "made it from that: make the view inside the closure");
    }
  }
  return add_entry(trace, tensor, true);
}

void encode(pa_trace &trace, Record &record, const c10::Argument &argument, const c10::IValue &value) {
  pa_arg arg{};
  OwnedArg owned;
  bool written = is_written(argument);
  arg.name = argument.name().c_str();
  if (value.isNone()) {
    arg.tag = PA_NONE;
  } else if (value.isTensor()) {
    arg.i = entry_of(trace, value.toTensor(), written);
    arg.tag = arg.i < 0 ? PA_NONE : PA_TENSOR;
  } else if (value.isTensorList()) {
    arg.tag = PA_TENSORS;
    for (const at::Tensor &tensor : value.toTensorList())
      owned.ints.push_back(entry_of(trace, tensor, written));
  } else if (value.isOptionalTensorList()) {
    arg.tag = PA_TENSORS;
    for (const std::optional<at::Tensor> &tensor : value.toOptionalTensorList())
      owned.ints.push_back(tensor.has_value() ? entry_of(trace, *tensor, written) : -1);
  } else if (value.isBool()) {
    arg.tag = PA_BOOL;
    arg.i = value.toBool();
  } else if (value.isInt() || value.isSymInt()) {
    arg.i = value.isInt() ? value.toInt() : value.toSymInt().guard_int(__FILE__, __LINE__);
    switch (required(argument.real_type())->kind()) {
    case c10::TypeKind::ScalarTypeType:
      arg.tag = PA_DTYPE;
      break;
    case c10::TypeKind::LayoutType:
      arg.tag = PA_LAYOUT;
      break;
    case c10::TypeKind::MemoryFormatType:
      arg.tag = PA_MEMORY_FORMAT;
      break;
    default:
      arg.tag = PA_INT;
    }
  } else if (value.isDouble()) {
    arg.tag = PA_FLOAT;
    arg.f = value.toDouble();
  } else if (value.isString()) {
    arg.tag = PA_STR;
    owned.text = value.toStringRef();
  } else if (value.isDevice()) {
    arg.tag = PA_DEVICE;
    owned.text = value.toDevice().str();
  } else if (value.isIntList() || value.isSymIntList()) {
    arg.tag = PA_INTS;
    if (value.isIntList()) {
      owned.ints = value.toIntVector();
    } else {
      for (const c10::SymInt &size : value.toSymIntVector())
        owned.ints.push_back(size.guard_int(__FILE__, __LINE__));
    }
  } else if (value.isDoubleList()) {
    arg.tag = PA_FLOATS;
    owned.floats = value.toDoubleVector();
  } else if (value.isBoolList()) {
    arg.tag = PA_BOOLS;
    for (bool element : value.toBoolList())
      owned.ints.push_back(element);
  } else if (value.isGenerator()) {
    arg.tag = PA_NONE;
    note(trace, name_of(record.handle) + " draws from a generator of its own; the graph draws from the default one");
  } else {
    TORCH_CHECK(false, name_of(record.handle), ": ", place(argument), " is a ", value.tagKind(),
                ", which a graph cannot hold");
  }
  record.args.push_back(arg);
  record.owned.push_back(std::move(owned));
}

// What the closure changes in a tensor that is not its own is undone when the trace ends.
void keep(pa_trace &trace, const at::Tensor &tensor) {
  if (!tensor.defined() || !tensor.has_storage())
    return;
  auto found = trace.by_storage.find(reinterpret_cast<uintptr_t>(tensor.storage().unsafeGetStorageImpl()));
  if (found == trace.by_storage.end())
    return;
  for (int64_t index : found->second) {
    Entry &entry = trace.entries[index];
    if (!entry.given.defined() || entry.restored)
      continue;
    entry.restored = true;
    at::NoGradGuard no_grad;
    trace.snapshots.push_back({entry.given, entry.given.detach().clone()});
  }
}

Record before(pa_trace &trace, const c10::OperatorHandle &handle, c10::ArrayRef<c10::IValue> values, bool no_grad) {
  Record record{handle};
  record.no_grad = no_grad;
  const auto &arguments = handle.schema().arguments();
  for (size_t i = 0; i < arguments.size(); ++i) {
    encode(trace, record, arguments[i], values[i]);
    const std::string &name = arguments[i].name();
    // The schema of `batch_norm` does not say that it writes its statistics.
    if (!is_written(arguments[i]) && name != "running_mean" && name != "running_var")
      continue;
    if (values[i].isTensor())
      keep(trace, values[i].toTensor());
    else if (values[i].isTensorList())
      for (const at::Tensor &tensor : values[i].toTensorList())
        keep(trace, tensor);
  }
  if (at::autocast::is_autocast_enabled(at::kCPU) || at::autocast::is_autocast_enabled(at::kCUDA))
    note(trace, "autocast was on and is not part of the graph: run it under the same autocast");
  return record;
}

void add_result(pa_trace &trace, Record &record, const at::Tensor &tensor) {
  pa_tensor meta{};
  int64_t index = -1;
  std::vector<int64_t> sizes;
  if (tensor.defined()) {
    TORCH_CHECK(is_plain(tensor), name_of(record.handle), " made a sparse or quantised tensor, which cannot be traced");
    auto found = trace.by_impl.find(tensor.unsafeGetTensorImpl());
    index = found != trace.by_impl.end() ? found->second : add_entry(trace, tensor, false);
    if (found == trace.by_impl.end())
      trace.entries[index].maker = trace.records.size();
    sizes = tensor.sizes().vec();
    meta.dtype = static_cast<int32_t>(tensor.scalar_type());
    meta.defined = 1;
  }
  record.results.push_back(index);
  record.sizes.push_back(std::move(sizes));
  record.metas.push_back(meta);
}

void after(pa_trace &trace, Record record, c10::ArrayRef<c10::IValue> values) {
  for (const c10::IValue &value : values) {
    if (value.isTensor()) {
      add_result(trace, record, value.toTensor());
    } else if (value.isTensorList()) {
      for (const at::Tensor &tensor : value.toTensorList())
        add_result(trace, record, tensor);
    } else if (!value.isNone()) {
      note(trace, "the result of " + name_of(record.handle) + " is no tensor: its value in the trace is part of the graph");
    }
  }
  const std::string name = name_of(record.handle);
  if (record.results.size() == 1 && record.results[0] >= 0) {
    Entry &entry = trace.entries[record.results[0]];
    if (name == "aten::zeros")
      entry.fresh = Fresh::Zeros;
    else if (name == "aten::empty" || name == "aten::empty_strided")
      entry.fresh = Fresh::Empty;
  }
  trace.records.push_back(std::move(record));
}

void separate(const c10::FunctionSchema &schema, const std::vector<c10::TensorImpl *> &arguments, c10::IValue &value) {
  if (!value.isTensor() || !value.toTensor().defined() || schema.is_mutable())
    return;
  if (std::find(arguments.begin(), arguments.end(), value.toTensor().unsafeGetTensorImpl()) != arguments.end())
    value = at::alias(value.toTensor());
}

void record_call(const c10::OperatorHandle &handle, c10::DispatchKeySet, torch::jit::Stack *stack) {
  c10::impl::ExcludeDispatchKeyGuard below(kRecorder);
  // The mode that the closure set is recorded; what it computes while it is traced is never differentiated.
  bool no_grad = !at::GradMode::is_enabled();
  at::NoGradGuard guard;
  pa_trace *trace = current;
  if (trace != nullptr && torch::autograd::get_current_graph_task_id() != -1)
    fail(*trace, "the closure runs a backward pass: trace the forward pass alone");
  if (trace == nullptr || !trace->failure.empty()) {
    handle.callBoxed(stack);
    return;
  }
  const c10::FunctionSchema &schema = handle.schema();
  std::optional<Record> record;
  std::vector<c10::TensorImpl *> arguments;
  try {
    auto values = torch::jit::last(*stack, schema.arguments().size());
    for (const c10::IValue &value : values)
      if (value.isTensor())
        arguments.push_back(value.toTensor().unsafeGetTensorImpl());
    record = before(*trace, handle, values, no_grad);
  } catch (const c10::Error &error) {
    fail(*trace, error.what_without_backtrace());
  } catch (const std::exception &error) {
    fail(*trace, error.what());
  }
  handle.callBoxed(stack);
  if (!record.has_value())
    return;
  size_t returns = schema.returns().size();
  for (size_t i = 0; i < returns; ++i)
    separate(schema, arguments, (*stack)[stack->size() - returns + i]);
  try {
    after(*trace, std::move(*record), torch::jit::last(*stack, returns));
  } catch (const c10::Error &error) {
    fail(*trace, error.what_without_backtrace());
  } catch (const std::exception &error) {
    fail(*trace, error.what());
  }
}

void register_recorder() {
  static std::once_flag once;
  std::call_once(once, [] {
    TORCH_CHECK(!c10::Dispatcher::singleton().hasBackendFallbackForDispatchKey(kRecorder),
                "another library of this process has taken the dispatch key of the recorder");
    // Lives as long as the process, as does the dispatcher.
    static auto *registration = new c10::RegistrationHandleRAII(c10::Dispatcher::singleton().registerFallback(
        kRecorder, c10::KernelFunction::makeFromBoxedFunction<&record_call>(), "pruner recorder"));
    (void)registration;
  });
}

void keep_generator(pa_trace &trace, const at::Device &device) {
  at::Generator generator = at::globalContext().defaultGenerator(device);
  for (const auto &kept : trace.generators)
    if (kept.first == generator)
      return;
  std::lock_guard<std::mutex> lock(generator.mutex());
  trace.generators.emplace_back(generator, generator.get_state());
}

void stop(pa_trace &trace) {
  if (!std::exchange(trace.running, false))
    return;
  current = nullptr;
  c10::impl::tls_set_dispatch_key_included(kRecorder, false);
  at::NoGradGuard no_grad;
  for (const Snapshot &snapshot : trace.snapshots)
    snapshot.tensor.detach().copy_(snapshot.copy);
  for (auto &[generator, state] : trace.generators) {
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(state);
  }
}

} // namespace

char *pa_trace_start(at::Tensor *const *tensors, size_t len, int64_t *entries, pa_trace **out) {
  PA_GUARD({
    TORCH_CHECK(current == nullptr, "this thread is tracing already");
    register_recorder();
    auto trace = std::make_unique<pa_trace>();
    keep_generator(*trace, at::kCPU);
    trace->variables = len;
    for (size_t i = 0; i < len; ++i) {
      const at::Tensor &tensor = *tensors[i];
      TORCH_CHECK(tensor.defined(), "a tensor is undefined");
      TORCH_CHECK(is_plain(tensor), "a sparse or quantised tensor cannot be traced");
      auto found = trace->by_impl.find(tensor.unsafeGetTensorImpl());
      entries[i] = found != trace->by_impl.end() ? found->second : add_entry(*trace, tensor, true);
      if (tensor.is_cuda())
        keep_generator(*trace, tensor.device());
    }
    trace->running = true;
    current = trace.get();
    c10::impl::tls_set_dispatch_key_included(kRecorder, true);
    *out = trace.release();
  })
}

char *pa_trace_stop(pa_trace *trace) {
  PA_GUARD({
    stop(*trace);
    TORCH_CHECK(trace->failure.empty(), trace->failure);
  })
}

void pa_trace_free(pa_trace *trace) {
  try {
    stop(*trace);
  } catch (...) {
    // Nothing can be told from here; the thread itself is clean, which stop sees to first.
  }
  delete trace;
}

char *pa_trace_find(pa_trace *trace, at::Tensor *tensor, int64_t *entry) {
  PA_GUARD({ *entry = entry_of(*trace, *tensor, false); })
}

size_t pa_trace_records(const pa_trace *trace) { return trace->records.size(); }

char *pa_trace_record(const pa_trace *trace, size_t index, const char **name, const char **overload,
                      const pa_arg **args, size_t *args_len, const int64_t **results, const pa_tensor **metas,
                      size_t *results_len, int32_t *no_grad) {
  PA_GUARD({
    // What is pointed to is owned by the trace; the pointers are set here, once the record has come to rest.
    auto &record = const_cast<Record &>(trace->records.at(index));
    const c10::OperatorName &operator_name = record.handle.operator_name();
    *name = operator_name.name.c_str();
    *overload = operator_name.overload_name.c_str();
    for (size_t i = 0; i < record.args.size(); ++i) {
      pa_arg &arg = record.args[i];
      const OwnedArg &owned = record.owned[i];
      arg.s = owned.text.c_str();
      arg.ints = owned.ints.data();
      arg.floats = owned.floats.data();
      arg.len = std::max(owned.ints.size(), owned.floats.size());
    }
    for (size_t i = 0; i < record.metas.size(); ++i) {
      record.metas[i].sizes = record.sizes[i].data();
      record.metas[i].ndim = record.sizes[i].size();
    }
    *args = record.args.data();
    *args_len = record.dropped ? SIZE_MAX : record.args.size();
    *results = record.results.data();
    *metas = record.metas.data();
    *results_len = record.results.size();
    *no_grad = record.no_grad;
  })
}

size_t pa_trace_entries(const pa_trace *trace) { return trace->entries.size(); }

char *pa_trace_entry(const pa_trace *trace, size_t index, uintptr_t *storage, at::Tensor **given) {
  PA_GUARD({
    const Entry &entry = trace->entries.at(index);
    *storage = entry.storage_address;
    *given = entry.given.defined() ? new at::Tensor(entry.given) : nullptr;
  })
}

size_t pa_trace_notes(const pa_trace *trace) { return trace->notes.size(); }

const char *pa_trace_note(const pa_trace *trace, size_t index) { return trace->notes[index].c_str(); }

// ---------------------------------------------------------------------------------------------------------------------
// Tensors

char *pa_tensor_of_bytes(const void *bytes, size_t len, int32_t dtype, const int64_t *sizes, const int64_t *strides,
                         size_t ndim, at::Tensor **out) {
  PA_GUARD({
    auto type = static_cast<at::ScalarType>(dtype);
    auto elements = static_cast<int64_t>(len / at::elementSize(type));
    c10::IntArrayRef shape(sizes, ndim), steps(strides, ndim);
    bool negative = false, none = false;
    for (size_t dim = 0; dim < ndim; ++dim) {
      negative |= shape[dim] < 0 || steps[dim] < 0;
      none |= shape[dim] == 0;
    }
    TORCH_CHECK(!negative, "sizes ", shape, " and strides ", steps, " are no tensor's");
    int64_t beyond = elements;
    for (size_t dim = 0; dim < ndim && !none; ++dim) {
      int64_t reach = 0;
      bool overflows = c10::mul_overflows(shape[dim] - 1, steps[dim], &reach);
      beyond = overflows ? 0 : std::max<int64_t>(beyond - reach, 0);
    }
    TORCH_CHECK(none || beyond > 0, "sizes ", shape, " with strides ", steps, " need more elements than the ", elements,
                " that are there");
    at::Tensor tensor = at::detail::empty_cpu({elements}, at::TensorOptions().dtype(type));
    if (elements > 0) {
      void *to = tensor.mutable_data_ptr();
      pa::NewMemory(to, tensor.nbytes()).populate(0, static_cast<int64_t>(tensor.nbytes()));
      std::memcpy(to, bytes, tensor.nbytes());
    }
    tensor.unsafeGetTensorImpl()->set_sizes_and_strides(shape, steps);
    *out = new at::Tensor(std::move(tensor));
  })
}

char *pa_tensor_describe(const at::Tensor *tensor, pa_tensor *out) {
  PA_GUARD({
    *out = pa_tensor{};
    out->defined = tensor->defined();
    if (!tensor->defined())
      return nullptr;
    out->impl = reinterpret_cast<uintptr_t>(tensor->unsafeGetTensorImpl());
    out->dtype = static_cast<int32_t>(tensor->scalar_type());
    out->plain = is_plain(*tensor);
    out->sizes = tensor->sizes().data();
    out->ndim = tensor->sizes().size();
    if (tensor->has_storage())
      out->storage = reinterpret_cast<uintptr_t>(tensor->storage().unsafeGetStorageImpl());
  })
}

char *pa_tensor_data(const at::Tensor *tensor, at::Tensor **data) {
  PA_GUARD({
    TORCH_CHECK(tensor->defined(), "the tensor is undefined");
    *data = new at::Tensor(tensor->variable_data());
  })
}

char *pa_tensor_grad(const at::Tensor *tensor, at::Tensor **grad) {
  PA_GUARD({
    TORCH_CHECK(tensor->defined(), "the tensor is undefined");
    bool has_grad = tensor->is_leaf() && tensor->grad().defined();
    *grad = has_grad ? new at::Tensor(tensor->grad()) : nullptr;
  })
}

char *pa_tensor_set_grad(at::Tensor *tensor, const at::Tensor *grad) {
  PA_GUARD({ tensor->mutable_grad() = grad == nullptr ? at::Tensor() : *grad; })
}

char *pa_tensor_exchange(at::Tensor *tensor, at::Tensor *data, const at::Tensor *grad, at::Tensor **grad_before) {
  PA_GUARD({
    at::NoGradGuard no_grad;
    TORCH_CHECK(tensor->defined() && data->defined(), "a tensor is undefined");
    TORCH_CHECK(grad == nullptr || grad->sizes() == data->sizes(), "the gradient is of another shape than the data");
    at::Tensor before = tensor->variable_data();
    bool has_grad = tensor->is_leaf() && tensor->grad().defined();
    auto kept_grad = has_grad ? std::make_unique<at::Tensor>(tensor->grad()) : nullptr;
    tensor->set_data(*data);
    // An accumulator that a live loss still holds expects gradients of the shape before.
    if (torch::autograd::impl::get_autograd_meta(*tensor) && tensor->is_leaf())
      torch::autograd::impl::set_grad_accumulator(*tensor, {});
    if (grad != nullptr)
      tensor->mutable_grad() = *grad;
    else if (tensor->grad().defined())
      tensor->mutable_grad() = at::Tensor();
    *data = std::move(before);
    *grad_before = kept_grad.release();
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// Random numbers

namespace {

// The generator that operators draw from: of the CPU where `gpu` is negative, else of that GPU.
at::Generator default_generator(int32_t gpu) {
  const auto device = gpu < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(gpu));
  return at::globalContext().defaultGenerator(device);
}

} // namespace

char *pa_random_state(int32_t gpu, at::Tensor **out) {
  PA_GUARD({
    auto generator = default_generator(gpu);
    const std::lock_guard<std::mutex> lock(generator.mutex());
    *out = new at::Tensor(generator.get_state());
  })
}

char *pa_random_set_state(int32_t gpu, const at::Tensor *state) {
  PA_GUARD({
    auto generator = default_generator(gpu);
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(*state);
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// Slices of all dimensions at once, and folds over all but one

char *pa_tensor_gather(const at::Tensor *tensor, const int64_t *const *kept, const size_t *kept_len, size_t ndim,
                       at::Tensor **out) {
  PA_GUARD({
    at::NoGradGuard no_grad;
    TORCH_CHECK(static_cast<int64_t>(ndim) == tensor->dim(), "the tensor has ", tensor->dim(), " dimensions, not ", ndim);
    pa::Kept lists(ndim);
    for (size_t dim = 0; dim < ndim; ++dim) {
      if (kept[dim] == nullptr)
        continue;
      lists[dim] = c10::ArrayRef<int64_t>(kept[dim], kept_len[dim]);
      for (int64_t index : *lists[dim])
        TORCH_CHECK(index >= 0 && index < tensor->size(dim), "there is no slice ", index, " in dimension ", dim,
                    " of size ", tensor->size(dim));
    }
    const at::Tensor &data = *tensor;
    bool one_pass = data.is_cpu() && is_plain(data) && data.is_non_overlapping_and_dense() && !data.is_conj() &&
                    !data.is_neg();
    *out = new at::Tensor(one_pass ? pa::gather_in_one_pass(data, lists) : pa::gather_by_dimension(data, lists));
  })
}

char *pa_tensor_fold(const at::Tensor *a, const at::Tensor *b, int32_t form, int64_t outer, int64_t inner,
                     double *of_outer, double *of_inner) {
  PA_GUARD({
    at::NoGradGuard no_grad;
    auto what = static_cast<pa::Form>(form);
    bool wide = a->scalar_type() == at::kDouble || (b && b->scalar_type() == at::kDouble);
    at::ScalarType kind = wide ? at::kDouble : at::kFloat;
    auto plain = [&](const at::Tensor &tensor) {
      return tensor.scalar_type() == kind && tensor.is_contiguous() ? tensor : tensor.to(kind).contiguous();
    };
    TORCH_CHECK(inner >= 0 && inner < a->dim() && outer < inner, "there are no dimensions ", outer, " and ", inner,
                " of a tensor of shape ", a->sizes());
    TORCH_CHECK(pa::reads_other(what) == (b != nullptr), "the form takes another number of tensors");
    TORCH_CHECK(!b || b->sizes() == a->sizes(), "tensors of shapes ", a->sizes(), " and ", b ? b->sizes() : a->sizes(),
                " are folded together");
    at::Tensor first = plain(*a);
    at::Tensor second = b ? plain(*b) : at::Tensor();
    const at::Tensor *other = b ? &second : nullptr;
    if (wide)
      pa::fold_as<double>(what, first, other, outer, inner, of_outer, of_inner);
    else
      pa::fold_as<float>(what, first, other, outer, inner, of_outer, of_inner);
  })
}

int32_t pa_tf32(int32_t allowed) {
  at::Context &context = at::globalContext();
  int32_t before = (context.allowTF32CuBLAS() ? 1 : 0) | (context.allowTF32CuDNN() ? 2 : 0);
  context.setAllowTF32CuBLAS((allowed & 1) != 0);
  context.setAllowTF32CuDNN((allowed & 2) != 0);
  return before;
}

const char *pa_version() { return TORCH_VERSION; }

int32_t pa_attention(int32_t kernels) {
  at::Context &context = at::globalContext();
  int32_t before = (context.userEnabledFlashSDP() ? 1 : 0) | (context.userEnabledMemEfficientSDP() ? 2 : 0) |
                   (context.userEnabledCuDNNSDP() ? 4 : 0);
  context.setSDPUseFlash((kernels & 1) != 0);
  context.setSDPUseMemEfficient((kernels & 2) != 0);
  context.setSDPUseCuDNN((kernels & 4) != 0);
  return before;
}
