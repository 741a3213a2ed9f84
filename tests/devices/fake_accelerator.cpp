// A stand-in for a GPU in CPU memory: every operation runs on the CPU, but its tensors refuse .numpy() and to be mixed with
// tensors of the CPU, as CUDA's do. fake_accelerator.py builds and registers it.
#include <torch/extension.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/Resize.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/Allocator.h>
#include <cstdlib>
#include <set>
#include <string>
using c10::DeviceType; using c10::Device;
struct Ctx { void* p; size_t n; };
struct Alloc final : c10::Allocator {
  c10::DataPtr allocate(size_t n) override {
    void* p = n ? std::aligned_alloc(64, (n + 63) / 64 * 64) : nullptr;
    return {p, new Ctx{p, n}, &del, Device(DeviceType::PrivateUse1, 0)};
  }
  static void del(void* c) { auto* x = static_cast<Ctx*>(c); std::free(x->p); delete x; }
  void copy_data(void* d, const void* s, size_t n) const override { std::memcpy(d, s, n); }
};
static Alloc galloc;
REGISTER_ALLOCATOR(DeviceType::PrivateUse1, &galloc);

struct Guard final : c10::impl::DeviceGuardImplInterface {
  static constexpr DeviceType static_type = DeviceType::PrivateUse1;
  DeviceType type() const override { return static_type; }
  Device exchangeDevice(Device) const override { return Device(static_type, 0); }
  Device getDevice() const override { return Device(static_type, 0); }
  void setDevice(Device) const override {}
  void uncheckedSetDevice(Device) const noexcept override {}
  c10::Stream getStream(Device d) const override { return c10::Stream(c10::Stream::DEFAULT, Device(static_type, 0)); }
  c10::Stream getDefaultStream(Device d) const override { return c10::Stream(c10::Stream::DEFAULT, Device(static_type, 0)); }
  c10::Stream exchangeStream(c10::Stream s) const override { return s; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
  void synchronizeDevice(const c10::DeviceIndex) const override {}
  void record(void** e, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override { return at::detail::getDefaultCPUGenerator(); }
  at::Generator getNewGenerator(c10::DeviceIndex) const override { return at::detail::createCPUGenerator(); }
  void resizePrivateUse1Bytes(const c10::Storage& s, size_t n) const override {
    auto fresh = galloc.allocate(n);
    if (s.data()) std::memcpy(fresh.get(), s.data(), std::min(n, s.nbytes()));
    s.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(fresh));
    s.unsafeGetStorageImpl()->set_nbytes(n);
  }
};
static struct Reg { Reg() { at::RegisterPrivateUse1HooksInterface(new Hooks()); } } reg;

static at::Tensor as_cpu(const at::Tensor& t) {  // the same memory, seen as a CPU tensor
  return at::from_blob(t.data_ptr(), t.sizes(), t.strides(), t.options().device(at::kCPU));
}
static at::Tensor empty_mf(c10::IntArrayRef size, std::optional<c10::ScalarType> dt, std::optional<c10::Layout>,
    std::optional<Device>, std::optional<bool> pin, std::optional<c10::MemoryFormat> mf) {
  return at::detail::empty_generic(size, &galloc, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), c10::dtype_or_default(dt), mf);
}
static at::Tensor empty_st(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<c10::ScalarType> dt,
    std::optional<c10::Layout>, std::optional<Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &galloc, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), c10::dtype_or_default(dt));
}
static at::Tensor copy_from(const at::Tensor& self, const at::Tensor& dst, bool nb) {
  at::Tensor s = self.is_cpu() ? self : as_cpu(self), d = dst.is_cpu() ? dst : as_cpu(dst);
  if (self.is_conj()) s = s.conj();
  if (self.is_neg()) s = at::_neg_view(s);
  d.copy_(s);
  return dst;
}
static at::Tensor copy_from_resize(const at::Tensor& self, const at::Tensor& dst) {
  if (dst.sizes() != self.sizes()) at::native::resize_(dst, self.sizes(), std::nullopt);
  at::Tensor s = self.is_cpu() ? self : as_cpu(self), d = dst.is_cpu() ? dst : as_cpu(dst);
  d.copy_(s);
  return dst;
}
static at::Scalar scalar(const at::Tensor& self) { return as_cpu(self).item(); }
static at::Tensor conv(const at::Tensor& i, const at::Tensor& w, const std::optional<at::Tensor>& b, c10::SymIntArrayRef st,
    c10::SymIntArrayRef p, c10::SymIntArrayRef d, bool t, c10::SymIntArrayRef op, c10::SymInt g) {
  TORCH_CHECK(i.device() == w.device(), "Expected all tensors to be on the same device (convolution): input ", i.device(), ", weight ", w.device());
  TORCH_CHECK(i.scalar_type() == w.scalar_type(), "Input type (", i.scalar_type(), ") and weight type (", w.scalar_type(), ") should be the same");
  std::optional<at::Tensor> bias; if (b && b->defined()) bias = as_cpu(*b);
  auto r = at::convolution_symint(as_cpu(i), as_cpu(w), bias, st, p, d, t, op, g);
  auto o = at::empty_strided(r.sizes(), r.strides(), r.options().device(i.device())); as_cpu(o).copy_(r); return o;
}
static std::tuple<at::Tensor, at::Tensor, at::Tensor> conv_b(const at::Tensor& go, const at::Tensor& i, const at::Tensor& w,
    c10::SymIntArrayRef st, c10::SymIntArrayRef p, c10::SymIntArrayRef d, bool t, c10::SymIntArrayRef op, c10::SymInt g, std::array<bool, 3> m) {
  TORCH_CHECK(i.device() == w.device() && go.device() == w.device(), "Expected all tensors to be on the same device (convolution_backward)");
  std::vector<c10::SymInt> bs{t ? c10::SymInt(w.size(1) * g.guard_int(__FILE__, __LINE__)) : c10::SymInt(w.size(0))};
  auto r = at::convolution_backward_symint(as_cpu(go), as_cpu(i), as_cpu(w), c10::OptionalArrayRef<c10::SymInt>(bs), st, p, d, t, op, g, m);
  auto up = [&](const at::Tensor& x) { if (!x.defined()) return x; auto o = at::empty_strided(x.sizes(), x.strides(), x.options().device(i.device())); as_cpu(o).copy_(x); return o; };
  return {up(std::get<0>(r)), up(std::get<1>(r)), up(std::get<2>(r))};
}
static void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& name = op.schema().operator_name().name;
  static const std::set<std::string> lenient = {"aten::index.Tensor", "aten::index", "aten::index_put_", "aten::_index_put_impl_", "aten::index_put", "aten::_copy_from", "aten::record_stream"};
  if (!lenient.count(name)) {
    auto args = torch::jit::last(*stack, op.schema().arguments().size());
    bool dev = false; long bad = -1; std::string what;
    auto look = [&](const at::Tensor& t, long k) {
      if (!t.defined()) return;
      if (t.device().type() == DeviceType::PrivateUse1) dev = true;
      else if (t.device().is_cpu() && t.dim() > 0 && bad < 0) { bad = k; what = c10::str(t.sizes(), " ", t.scalar_type()); }
    };
    for (size_t k = 0; k < args.size(); ++k) {
      if (args[k].isTensor()) look(args[k].toTensor(), k);
      else if (args[k].isTensorList()) for (const auto& t : args[k].toTensorVector()) look(t, k);
      else if (args[k].isOptionalTensorList()) for (const auto& t : args[k].toOptionalTensorVector()) { if (t) look(*t, k); }
    }
    TORCH_CHECK(!(dev && bad >= 0), "Expected all tensors to be on the same device, but found at least two devices, fgpu:0 and cpu! (", name, ", argument ", bad, " is on cpu: ", what, ")");
  }
  at::native::cpu_fallback(op, stack);
}
static at::Tensor unfold(const at::Tensor& s, int64_t dim, int64_t size, int64_t step) { return at::native::unfold(s, dim, size, step); }
TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty_mf);
  m.impl("empty_strided", empty_st);
  m.impl("as_strided", [](const at::Tensor& s, c10::IntArrayRef a, c10::IntArrayRef b, std::optional<int64_t> o) { return at::native::as_strided_tensorimpl(s, a, b, o); });
  m.impl("resize_", [](const at::Tensor& s, c10::SymIntArrayRef a, std::optional<at::MemoryFormat> f) -> const at::Tensor& { return at::native::resize_(s, C10_AS_INTARRAYREF_SLOW(a), f); });
  m.impl("_reshape_alias", [](const at::Tensor& s, c10::SymIntArrayRef a, c10::SymIntArrayRef b) { return at::native::_reshape_alias(s, C10_AS_INTARRAYREF_SLOW(a), C10_AS_INTARRAYREF_SLOW(b)); });
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_resize);
  m.impl("_local_scalar_dense", scalar);
  m.impl("set_.source_Tensor", [](at::Tensor& a, const at::Tensor& b) -> at::Tensor& { return at::native::set_tensor_(a, b); });
  m.impl("set_.source_Storage", [](at::Tensor& a, at::Storage b) -> at::Tensor& { return at::native::set_(a, b); });
  m.impl("set_.source_Storage_storage_offset", [](at::Tensor& r, at::Storage s, int64_t o, c10::IntArrayRef a, c10::IntArrayRef b) -> at::Tensor& { return at::native::set_storage_cpu_(r, s, o, a, b); });
  m.impl("view", [](const at::Tensor& s, c10::SymIntArrayRef a) { return at::native::view(s, C10_AS_INTARRAYREF_SLOW(a)); });
  m.impl("unfold", unfold);
  m.impl("convolution_overrideable", conv);
  m.impl("convolution_backward_overrideable", conv_b);
}
TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }
TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, m) { m.fallback(torch::CppFunction::makeFallthrough()); }
