//! NVIDIA's GPUs, as the driver's management library (NVML) lists them. No CUDA is needed to ask it.

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

/// The library's file; the driver installs no link without the number.
const NVML: &str = "libnvidia-ml.so.1";

/// The variable that says which GPUs CUDA shows to a process.
pub(super) const CUDA_VISIBLE_DEVICES: &str = "CUDA_VISIBLE_DEVICES";

/// One GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// The product's name.
    pub name: String,
    /// NVIDIA's identifier, `GPU-…`.
    pub uuid: String,
    /// Memory in bytes.
    pub memory: u64,
    /// Compute capability: major and minor number.
    pub compute_capability: (i32, i32),
}

/// The GPUs of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpus {
    /// The driver's version.
    pub driver: String,
    /// The highest CUDA version that the driver supports: major and minor number.
    pub cuda: (i32, i32),
    /// The GPUs, in the order of their bus numbers.
    pub all: Vec<Gpu>,
    /// Those that `CUDA_VISIBLE_DEVICES` shows to this process, by their places in `all`.
    pub visible: Vec<usize>,
}

impl Gpus {
    /// Asks the driver; `None` without a driver, or where it does not answer.
    pub(super) fn detect() -> Option<Self> {
        match Self::ask() {
            Ok(gpus) => Some(gpus),
            Err(error) => {
                log::debug!("no GPU is listed: {error}");
                None
            }
        }
    }

    fn ask() -> Result<Self, NvmlError> {
        let nvml = Nvml::builder().lib_path(NVML.as_ref()).init()?;
        let all = (0..nvml.device_count()?)
            .map(|index| {
                let device = nvml.device_by_index(index)?;
                let capability = device.cuda_compute_capability()?;
                Ok(Gpu {
                    name: device.name()?,
                    uuid: device.uuid()?,
                    memory: device.memory_info()?.total,
                    compute_capability: (capability.major, capability.minor),
                })
            })
            .collect::<Result<Vec<_>, NvmlError>>()?;
        let cuda = nvml.sys_cuda_driver_version()?;
        let variable = std::env::var(CUDA_VISIBLE_DEVICES).ok();
        Ok(Self {
            driver: nvml.sys_driver_version()?,
            // 12040 is CUDA 12.4.
            cuda: (cuda / 1000, cuda % 1000 / 10),
            visible: visible(&all, variable.as_deref()),
            all,
        })
    }

    /// The GPU that TensorFlow would compute on: the first that this process sees.
    pub fn first(&self) -> Option<&Gpu> {
        self.visible.first().and_then(|&place| self.all.get(place))
    }
}

/// The GPUs that a value of `CUDA_VISIBLE_DEVICES` shows, in its order: numbers, or beginnings of
/// identifiers. As CUDA does, it stops at the first entry that names no GPU.
fn visible(all: &[Gpu], variable: Option<&str>) -> Vec<usize> {
    let Some(variable) = variable else { return (0..all.len()).collect() };
    let place = |entry: &str| match entry.parse::<usize>() {
        Ok(number) => Some(number).filter(|&number| number < all.len()),
        Err(_) if entry.starts_with("GPU-") => {
            all.iter().position(|gpu| gpu.uuid.starts_with(entry))
        }
        Err(_) => None,
    };
    variable.split(',').map_while(|entry| place(entry.trim())).collect()
}

#[cfg(test)]
impl Gpus {
    /// Two GPUs of a compute capability, of which the process sees those of `variable`.
    pub(super) fn two(compute_capability: (i32, i32), variable: Option<&str>) -> Self {
        let gpu = |uuid: &str| Gpu {
            name: "test".into(),
            uuid: uuid.into(),
            memory: 80 << 30,
            compute_capability,
        };
        let all = vec![gpu("GPU-a1"), gpu("GPU-b2")];
        Self { driver: "550.54".into(), cuda: (12, 4), visible: visible(&all, variable), all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_shows_gpus_in_its_order_and_ends_at_the_first_that_is_not_there() {
        let visible = |variable| Gpus::two((8, 0), variable).visible;
        assert_eq!(visible(None), [0, 1]);
        assert_eq!(visible(Some("1,0")), [1, 0]);
        assert_eq!(visible(Some("GPU-b")), [1]);
        assert_eq!(visible(Some("1,7,0")), [1]);
        for none in ["", "-1", "none", "MIG-1"] {
            assert_eq!(visible(Some(none)), [0usize; 0], "{none}");
        }
    }
}
