//! The number formats of tensors. All arithmetic is float32.

/// An element of a tensor.
pub(in crate::runtime) trait Element:
    Copy + Default + Send + Sync + 'static
{
    /// The value as float32.
    fn get(self) -> f32;
    /// The nearest value of this format.
    fn of(value: f32) -> Self;
}

impl Element for f32 {
    #[inline(always)]
    fn get(self) -> f32 {
        self
    }

    #[inline(always)]
    fn of(value: f32) -> Self {
        value
    }
}

/// bfloat16: the upper half of a float32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(in crate::runtime) struct Bf16(u16);

impl Element for Bf16 {
    #[inline(always)]
    fn get(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    /// Rounds to the nearest, and to the even one of two. A NaN stays one: those that arithmetic gives have the highest
    /// bit of their fraction set, and keep it.
    #[inline(always)]
    fn of(value: f32) -> Self {
        let bits = value.to_bits();
        Self((bits.wrapping_add(0x7FFF + ((bits >> 16) & 1)) >> 16) as u16)
    }
}
