//! Ready-made vectors as bytes: little-endian f32, one vector per chunk in order. A chunk without one has NaN in its
//! place; a vector with NaN is never accepted, so the two cannot be confused.

/// Writes the vectors of all chunks; `None` where no chunk has one.
pub fn encode<'a>(vectors: impl Iterator<Item = Option<&'a [f32]>> + Clone, dimensions: usize) -> Option<Vec<u8>> {
    vectors.clone().any(|vector| vector.is_some()).then(|| {
        let absent = vec![f32::NAN; dimensions];
        vectors
            .flat_map(|vector| vector.unwrap_or(&absent).iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
            .collect()
    })
}

/// The vector of one chunk; `None` where it has none.
pub fn decode(bytes: &[u8], dimensions: usize, index: usize) -> Option<Vec<f32>> {
    let size = dimensions * size_of::<f32>();
    let vector: Vec<f32> = bytes
        .get(index * size..(index + 1) * size)?
        .chunks_exact(size_of::<f32>())
        .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
        .collect();
    (!vector.first()?.is_nan()).then_some(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_and_their_absence_survive_the_round_trip() {
        let vectors = [Some(vec![1.0_f32, -0.0]), None, Some(vec![f32::MIN_POSITIVE, f32::MAX])];
        let bytes = encode(vectors.iter().map(Option::as_deref), 2).expect("some chunk has a vector");
        for (index, vector) in vectors.iter().enumerate() {
            assert_eq!(&decode(&bytes, 2, index), vector);
        }
        assert_eq!(decode(&bytes, 2, 3), None);
        assert_eq!(encode([None, None].into_iter(), 2), None);
    }
}
