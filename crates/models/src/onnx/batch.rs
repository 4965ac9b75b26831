//! Texts of similar lengths, so that little is padded.

/// The least part of a batch's longest text that another text in it has, in percent. Of texts of ten tokens, twice as many
/// are embedded as one by one; with 60 % as many are and more is padded, and among long texts it makes no difference.
const LEAST_PERCENT: usize = 80;

/// The places of the texts that go together. Without padding they have the same length.
pub(super) fn batches(lengths: &[usize], pads: bool) -> Vec<Vec<usize>> {
    let least_percent = if pads { LEAST_PERCENT } else { 100 };
    let mut places: Vec<_> = (0..lengths.len()).collect();
    places.sort_by_key(|place| std::cmp::Reverse(lengths[*place]));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for place in places {
        match batches.last_mut() {
            Some(batch) if lengths[place] * 100 >= lengths[batch[0]] * least_percent => batch.push(place),
            _ => batches.push(vec![place]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::batches;

    #[test]
    fn texts_of_similar_lengths_go_together_the_longest_first() {
        assert_eq!(batches(&[4, 100, 5, 80, 79, 5], true), [vec![1, 3], vec![4], vec![2, 5, 0]]);
        assert_eq!(batches(&[], true), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn without_padding_only_equal_lengths_go_together() {
        assert_eq!(batches(&[4, 5, 4, 5, 6], false), [vec![4], vec![1, 3], vec![0, 2]]);
    }
}
