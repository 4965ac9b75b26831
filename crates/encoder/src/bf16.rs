//! Numbers as `bf16`: the upper half of a 32-bit float, with 8 bits of precision.

/// The number rounded to the nearest `bf16`, to the even one of two. It must be finite.
#[inline(always)]
pub(crate) fn round(x: f32) -> u16 {
    let bits = x.to_bits();
    let to_even = bits >> 16 & 1;
    (bits.wrapping_add(0x7fff + to_even) >> 16) as u16
}

/// The number that a `bf16` stands for.
#[inline(always)]
pub(crate) fn widen(x: u16) -> f32 {
    f32::from_bits(u32::from(x) << 16)
}

/// Every number rounded to the nearest `bf16`.
pub(crate) fn round_all(numbers: &mut [f32]) {
    for number in numbers {
        *number = widen(round(*number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_the_nearest_and_to_the_even_one_of_two() {
        // 1 + 2^-7 is the next one after 1.
        for (number, rounded) in [
            (0.0, 0.0),
            (-0.0, -0.0),
            (1.0, 1.0),
            (1.0 + 0.5_f32.powi(9), 1.0),
            (1.0 + 0.5_f32.powi(8), 1.0),
            (1.0 + 0.5_f32.powi(8) + 0.5_f32.powi(20), 1.0 + 0.5_f32.powi(7)),
            (1.0 + 3.0 * 0.5_f32.powi(8), 1.0 + 0.5_f32.powi(6)),
            (-1.0 - 0.5_f32.powi(8), -1.0),
            (1e30, widen(round(1e30))),
        ] {
            let mut numbers = [number];
            round_all(&mut numbers);
            assert_eq!(numbers[0].to_bits(), rounded.to_bits(), "{number}");
            assert!((numbers[0] - number).abs() <= number.abs() / 256.0, "{number}");
        }
    }
}
