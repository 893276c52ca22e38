//! A GPU: CUDA's driver and cuBLAS, both opened at run time.
//!
//! There is one stream, which does one thing after another. Memory comes from the driver's pool, in the order of the stream:
//! giving back and taking again costs about a microsecond and waits for nothing.
#![expect(unsafe_code, reason = "calls of the CUDA driver and of cuBLAS")]

use std::ffi::{CString, c_void};
use std::sync::Arc;

use cudarc::cublas::sys::{
    cublasComputeType_t::CUBLAS_COMPUTE_32F, cublasGemmAlgo_t::CUBLAS_GEMM_DFALT, cublasMath_t,
    cublasOperation_t, cublasSetMathMode, cudaDataType,
};
use cudarc::cublas::{CudaBlas, result as cublas};
use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUmemPool_attribute};
use cudarc::driver::{CudaContext, CudaStream};

use super::Product;
use crate::error::{CudaError, Result};
use crate::launch::{Arg, Grid, Kernel};
use crate::probe::{DeviceInfo, check_version, driver_version, info};
use crate::ptx::ptx;

pub(crate) struct Driver {
    info: DeviceInfo,
    /// By the kernel's number.
    functions: Vec<sys::CUfunction>,
    module: sys::CUmodule,
    blas: CudaBlas,
    stream: Arc<CudaStream>,
    context: Arc<CudaContext>,
    /// Whether the device has pools of memory.
    pool: bool,
}

// SAFETY: the handles belong to the context, which every call makes the thread's own first; the driver locks.
unsafe impl Send for Driver {}
// SAFETY: likewise. cuBLAS is only called under one stream, and its handle locks.
unsafe impl Sync for Driver {}

impl Driver {
    /// Finds out what is missing before cudarc does, which would panic.
    pub(super) fn open(ordinal: usize) -> Result<Self> {
        check_version(driver_version()?)?;
        // SAFETY: opens a library and closes it.
        if !unsafe { cudarc::cublas::sys::is_culib_present() } {
            return Err(CudaError::NoCublas);
        }
        let info = device_info(ordinal)?;
        if info.capability < (8, 0) {
            return Err(CudaError::OldDevice {
                name: info.name,
                found: info.capability,
            });
        }
        let context = CudaContext::new(ordinal).map_err(said("opening the device"))?;
        let stream = context.new_stream().map_err(said("opening the device"))?;
        let pool = keep_pool(ordinal).is_ok();
        let (module, functions) = load_kernels().map_err(said("loading the kernels"))?;
        let blas = CudaBlas::new(stream.clone()).map_err(blas_said("opening cuBLAS"))?;
        let mode = cublasMath_t::CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
        // SAFETY: the handle is open. The mode has no TF32 either.
        let status = unsafe { cublasSetMathMode(*blas.handle(), mode) };
        status.result().map_err(blas_said("opening cuBLAS"))?;
        Ok(Self {
            info,
            functions,
            module,
            blas,
            stream,
            context,
            pool,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.info.name
    }

    /// The context becomes this thread's.
    fn here(&self, during: &'static str) -> Result<()> {
        self.context.bind_to_thread().map_err(said(during))
    }

    pub(super) fn memory(&self) -> Result<(usize, usize)> {
        self.here("asking for free memory")?;
        result::mem_get_info().map_err(said("asking for free memory"))
    }

    pub(super) fn synchronize(&self) -> Result<()> {
        self.stream
            .synchronize()
            .map_err(said("waiting for the device"))
    }

    pub(super) fn allocate(&self, bytes: usize) -> Result<u64> {
        self.here("taking memory")?;
        // SAFETY: the stream is open; what is in the memory is never taken for a value before it is written.
        let address = unsafe {
            if self.pool {
                result::malloc_async(self.stream.cu_stream(), bytes)
            } else {
                result::malloc_sync(bytes)
            }
        };
        match address {
            Err(DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => {
                let (free, total) = self.memory()?;
                Err(CudaError::OutOfMemory {
                    wanted: bytes,
                    free,
                    total,
                })
            }
            address => address.map_err(said("taking memory")),
        }
    }

    /// What fails here has failed before, and the next operation says so.
    pub(super) fn release(&self, address: u64, _bytes: usize) {
        if self.here("giving memory back").is_err() {
            return;
        }
        // SAFETY: the buffer that had the address is gone; with a pool the stream comes to this after its last use.
        let _: std::result::Result<(), DriverError> = unsafe {
            if self.pool {
                result::free_async(address, self.stream.cu_stream())
            } else {
                result::free_sync(address)
            }
        };
    }

    pub(super) fn clear(&self, address: u64, bytes: usize) -> Result<()> {
        self.here("clearing memory")?;
        // SAFETY: the buffer has so many bytes.
        let done = unsafe { result::memset_d8_async(address, 0, bytes, self.stream.cu_stream()) };
        done.map_err(said("clearing memory"))
    }

    pub(super) fn upload(&self, to: u64, bytes: &[u8]) -> Result<()> {
        self.here("an upload")?;
        // SAFETY: the buffer has so many bytes; the source lives until the stream has come to it.
        let done = unsafe { result::memcpy_htod_async(to, bytes, self.stream.cu_stream()) };
        done.map_err(said("an upload"))?;
        self.synchronize()
    }

    pub(super) fn download(&self, from: u64, bytes: &mut [u8]) -> Result<()> {
        self.here("a download")?;
        // SAFETY: the buffer has so many bytes; the target lives until the stream has come to it.
        let done = unsafe { result::memcpy_dtoh_async(bytes, from, self.stream.cu_stream()) };
        done.map_err(said("a download"))?;
        self.synchronize()
    }

    pub(super) fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<()> {
        self.here("a copy")?;
        // SAFETY: both buffers have so many bytes.
        let done = unsafe { result::memcpy_dtod_async(to, from, bytes, self.stream.cu_stream()) };
        done.map_err(said("a copy"))
    }

    pub(super) fn launch(&self, kernel: Kernel, grid: Grid, args: &[Arg]) -> Result<()> {
        self.here(kernel.name())?;
        let mut pointers = [std::ptr::null_mut::<c_void>(); 24];
        for (pointer, arg) in pointers.iter_mut().zip(args) {
            *pointer = std::ptr::from_ref(&arg.bits).cast_mut().cast();
        }
        // SAFETY: the operation has compared the sizes of the buffers, which the stream gives back only after this, and gives
        // the arguments in the order of the kernel's parameters, which the emulator compares in tests.
        let done = unsafe {
            result::launch_kernel(
                self.functions[kernel as usize],
                (grid.x, grid.y, 1),
                (grid.threads, 1, 1),
                grid.shared,
                self.stream.cu_stream(),
                &mut pointers,
            )
        };
        done.map_err(said(kernel.name()))
    }

    /// cuBLAS has its matrices column by column: what stands here as rows × n is n × rows there.
    pub(super) fn product(&self, product: &Product) -> Result<()> {
        use cublasOperation_t::{CUBLAS_OP_N, CUBLAS_OP_T};
        self.here(product.operation)?;
        let int = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let (outputs, columns) = (int(product.outputs), int(product.columns));
        let (turned, to, inner) = if product.transposed {
            (CUBLAS_OP_N, columns, outputs)
        } else {
            (CUBLAS_OP_T, outputs, columns)
        };
        let kind = if product.bf16 {
            cudaDataType::CUDA_R_16BF
        } else {
            cudaDataType::CUDA_R_32F
        };
        let (one, zero) = (1.0_f32, 0.0_f32);
        // SAFETY: the operation has compared the sizes of the buffers; the factors are read before the call returns.
        let done = unsafe {
            cublas::gemm_ex(
                *self.blas.handle(),
                turned,
                CUBLAS_OP_N,
                to,
                int(product.rows),
                inner,
                std::ptr::from_ref(&one).cast(),
                address(product.w),
                kind,
                columns,
                address(product.x),
                kind,
                inner,
                std::ptr::from_ref(&zero).cast(),
                address(product.y).cast_mut(),
                cudaDataType::CUDA_R_32F,
                to,
                CUBLAS_COMPUTE_32F,
                CUBLAS_GEMM_DFALT,
            )
        };
        done.map_err(blas_said(product.operation))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.synchronize().is_ok() {
            // SAFETY: nothing runs any more, and no one else has the module.
            let _: std::result::Result<(), DriverError> =
                unsafe { result::module::unload(self.module) };
        }
    }
}

/// An address of the device where a pointer is wanted.
fn address(address: u64) -> *const c_void {
    std::ptr::without_provenance(usize::try_from(address).unwrap_or_default())
}

fn device_info(ordinal: usize) -> Result<DeviceInfo> {
    let failed = said("looking for devices");
    result::init().map_err(&failed)?;
    let count = result::device::get_count().map_err(&failed)?;
    let number = i32::try_from(ordinal).unwrap_or(i32::MAX);
    if number >= count {
        return Err(CudaError::NoDevice {
            ordinal,
            count: usize::try_from(count).unwrap_or_default(),
        });
    }
    info(number).map_err(&failed)
}

/// Memory that is given back stays in the pool; else the driver returns it whenever the stream is waited for.
fn keep_pool(ordinal: usize) -> std::result::Result<(), DriverError> {
    let device = result::device::get(i32::try_from(ordinal).unwrap_or_default())?;
    let mut all = u64::MAX;
    // SAFETY: the device is there, the pool is its own, and the attribute is a u64.
    unsafe {
        let attribute = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED;
        if result::device::get_attribute(device, attribute)? == 0 {
            return Err(DriverError(sys::CUresult::CUDA_ERROR_NOT_SUPPORTED));
        }
        let pool = result::device::get_default_mem_pool(device)?;
        result::mem_pool::set_attribute(
            pool,
            CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
            std::ptr::from_mut(&mut all).cast(),
        )
    }
}

/// The module, and the kernels by number; the context is this thread's.
fn load_kernels() -> std::result::Result<(sys::CUmodule, Vec<sys::CUfunction>), DriverError> {
    let invalid = |_| DriverError(sys::CUresult::CUDA_ERROR_INVALID_VALUE);
    let damaged = |_| DriverError(sys::CUresult::CUDA_ERROR_INVALID_PTX);
    let ptx = CString::new(ptx().map_err(damaged)?).map_err(invalid)?;
    // SAFETY: the image ends with a 0, and is copied before the call returns.
    let module = unsafe { result::module::load_data(ptx.as_ptr().cast())? };
    let function = |name: &&str| {
        // SAFETY: the module was loaded above.
        unsafe { result::module::get_function(module, CString::new(*name).map_err(invalid)?) }
    };
    let functions = Kernel::NAMES
        .iter()
        .map(function)
        .collect::<std::result::Result<_, _>>()?;
    Ok((module, functions))
}

fn said(during: &'static str) -> impl Fn(DriverError) -> CudaError {
    move |error| CudaError::Driver {
        during,
        code: format!("{:?}", error.0),
    }
}

fn blas_said(during: &'static str) -> impl Fn(cublas::CublasError) -> CudaError {
    move |error| CudaError::Cublas {
        during,
        code: format!("{:?}", error.0),
    }
}
