//! The state of the generators that operators draw random numbers from.
#![allow(unsafe_code, reason = "libtorch is spoken to here, beside tch")]

use std::ptr;

use tch::{Device, Tensor};

use super::AtenError;
use super::ffi::{check, pa_random_set_state, pa_random_state};

/// What the generator of a device will draw, as bytes that mean something to libtorch alone.
pub fn random_state(device: Device) -> Result<Tensor, AtenError> {
    let mut out = ptr::null_mut();
    // SAFETY: the tensor that comes is new and ours.
    unsafe {
        check(pa_random_state(gpu(device)?, &raw mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// Lets the generator of a device draw what it would have drawn when its state was taken.
pub fn set_random_state(device: Device, state: &Tensor) -> Result<(), AtenError> {
    let gpu = gpu(device)?;
    // SAFETY: the tensor is borrowed through the call.
    check(unsafe { pa_random_set_state(gpu, state.as_ptr()) })
}

/// The number of a GPU, negative for the CPU.
fn gpu(device: Device) -> Result<i32, AtenError> {
    match device {
        Device::Cpu => Ok(-1),
        Device::Cuda(index) => {
            super::init();
            i32::try_from(index).map_err(|_| AtenError::new(format!("there is no GPU {index}")))
        }
        other => Err(AtenError::new(format!("{other:?} has no generator of random numbers here"))),
    }
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    #[test]
    fn a_tensor_that_is_no_state_is_refused() {
        let error = set_random_state(Device::Cpu, &Tensor::zeros([3], (Kind::Float, Device::Cpu)));
        assert!(error.is_err());
    }
}
