// What Rust asks of libtorch beyond tch: boxed dispatch of any operator, a recorder of the operators that a closure
// runs, and access to the data and gradient of variables. Tensors are tch's own pointers.
//
// Every function that can fail returns a message allocated with malloc, or null. No exception leaves this file.
#pragma once

#include <cstddef>
#include <cstdint>

namespace at {
class Tensor;
}

extern "C" {

struct pa_op;
struct pa_call;
struct pa_trace;

enum pa_tag : int32_t {
  PA_NONE,
  PA_TENSOR,
  PA_TENSORS,
  PA_BOOL,
  PA_INT,
  PA_FLOAT,
  PA_STR,
  PA_BOOLS,
  PA_INTS,
  PA_FLOATS,
  PA_DTYPE,
  PA_DEVICE,
  PA_LAYOUT,
  PA_MEMORY_FORMAT,
};

// One argument. A tensor is counted, not pointed to: in a record `i` and `ints` hold entries of the trace (-1 for an
// absent one), in a prepared call `ints` says which elements of a list are present and tensors follow in order.
struct pa_arg {
  const char *name;
  int32_t tag;
  int64_t i;
  double f;
  const char *s;
  const int64_t *ints;
  const double *floats;
  size_t len;
};

struct pa_tensor {
  uintptr_t impl;
  uintptr_t storage;
  const int64_t *sizes;
  size_t ndim;
  int32_t dtype;
  int32_t defined;
  // Strided and not quantised.
  int32_t plain;
};

void pa_free_message(char *message);

// Loads what a GPU needs, once; `state` is a static string that says what came of it.
void pa_init(const char **state);

char *pa_op_find(const char *name, const char *overload, pa_op **out);
void pa_op_free(pa_op *op);
size_t pa_op_arguments(const pa_op *op);
// Bits: 1 written, 2 holds tensors, 4 is a device.
char *pa_op_argument(const pa_op *op, size_t index, const char **name, int32_t *bits);
size_t pa_op_results(const pa_op *op);
// Bits: 1 a tensor, 2 a list of tensors; 0 neither.
int32_t pa_op_result(const pa_op *op, size_t index);
// Whether two runs may differ.
int32_t pa_op_random(const pa_op *op);

char *pa_call_new(const pa_op *op, const pa_arg *args, size_t len, pa_call **out);
void pa_call_free(pa_call *call);
// `mode` sets the arguments that say whether the network trains: 1 train, 0 evaluate, -1 as they are.
char *pa_call_run(const pa_call *call, at::Tensor *const *tensors, size_t len, int32_t mode, void *sink,
                  void (*emit)(void *sink, at::Tensor *result));

// From here to pa_trace_stop every operator that this thread calls is recorded. `entries` gets one entry per tensor.
char *pa_trace_start(at::Tensor *const *tensors, size_t len, int64_t *entries, pa_trace **out);
char *pa_trace_stop(pa_trace *trace);
void pa_trace_free(pa_trace *trace);
// Entry of a tensor that the closure returned; -1 where it is undefined.
char *pa_trace_find(pa_trace *trace, at::Tensor *tensor, int64_t *entry);
size_t pa_trace_records(const pa_trace *trace);
char *pa_trace_record(const pa_trace *trace, size_t index, const char **name, const char **overload,
                      const pa_arg **args, size_t *args_len, const int64_t **results, const pa_tensor **metas,
                      size_t *results_len, int32_t *no_grad);
size_t pa_trace_entries(const pa_trace *trace);
// `given` is a new tensor where no recorded operator made it, else null.
char *pa_trace_entry(const pa_trace *trace, size_t index, uintptr_t *storage, at::Tensor **given);
size_t pa_trace_notes(const pa_trace *trace);
const char *pa_trace_note(const pa_trace *trace, size_t index);


// A tensor on the CPU of its own with the elements of these bytes; strides count elements.
char *pa_tensor_of_bytes(const void *bytes, size_t len, int32_t dtype, const int64_t *sizes, const int64_t *strides,
                         size_t ndim, at::Tensor **out);
// `out.sizes` points into the tensor.
char *pa_tensor_describe(const at::Tensor *tensor, pa_tensor *out);
// The tensor's data becomes that of `data`, of any shape, and its gradient `grad`, which may be null. `data` and `grad_before`
// are what they were before.
char *pa_tensor_exchange(at::Tensor *tensor, at::Tensor *data, const at::Tensor *grad, at::Tensor **grad_before);
// The tensor's data as a tensor outside of the autograd graph.
char *pa_tensor_data(const at::Tensor *tensor, at::Tensor **data);
// The gradient that the tensor has as a leaf, or null.
char *pa_tensor_grad(const at::Tensor *tensor, at::Tensor **grad);
char *pa_tensor_set_grad(at::Tensor *tensor, const at::Tensor *grad);
// The slices at `kept[d][0..kept_len[d]]` of every dimension `d`; a null list keeps all.
char *pa_tensor_gather(const at::Tensor *tensor, const int64_t *const *kept, const size_t *kept_len, size_t ndim,
                       at::Tensor **out);
// Adds the folds of tensors on the CPU over all dimensions but one, for `inner` and, unless it is negative, for `outer`, which
// is less, to as many numbers as the dimension has positions. `form` is a `pa::Form`; `b` is null where it reads one tensor.
char *pa_tensor_fold(const at::Tensor *a, const at::Tensor *b, int32_t form, int64_t outer, int64_t inner,
                     double *of_outer, double *of_inner);
// What the generator that operators draw from will draw: of the CPU where `gpu` is negative, else of that GPU.
char *pa_random_state(int32_t gpu, at::Tensor **out);
char *pa_random_set_state(int32_t gpu, const at::Tensor *state);
// Where single-precision products on a GPU may be computed with TF32: bits 1 cuBLAS, 2 cuDNN. Returns what it was.
int32_t pa_tf32(int32_t allowed);
// The version of libtorch that this was built for.
const char *pa_version();
// Which fused kernels attention may use, of the whole process: bits 1 flash, 2 memory-efficient, 4 cuDNN. Returns what it was.
int32_t pa_attention(int32_t kernels);
}
