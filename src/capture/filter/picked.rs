//! Frames picked out of many.

/// Some of 64 frames that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Picked {
    /// The number of the first of the 64.
    pub(super) first: u64,
    /// A bit for each, from the lowest: whether it is picked.
    pub(super) bits: u64,
}

impl Picked {
    /// Of so many frames at most.
    pub(super) const MOST: usize = u64::BITS as usize;

    /// Frame `n` alone.
    pub(super) const fn one(n: u64) -> Self {
        Self { first: n, bits: 1 }
    }

    pub(super) const fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Those of them above `n`.
    pub(super) const fn above(self, n: u64) -> Self {
        let gone = (n + 1).saturating_sub(self.first);
        let bits = if gone < Self::MOST as u64 { self.bits >> gone << gone } else { 0 };
        Self { bits, ..self }
    }

    /// Their places among the 64, from 0.
    pub(super) fn places(self) -> impl Iterator<Item = usize> + Clone {
        let mut rest = self.bits;
        std::iter::from_fn(move || {
            let place = rest.trailing_zeros();
            // the lowest bit goes
            rest &= rest.checked_sub(1)?;
            Some(place as usize)
        })
    }

    /// Their numbers.
    pub(super) fn numbers(self) -> impl Iterator<Item = u64> {
        self.places().map(move |place| self.first + place as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_are_gone_are_picked_no_more() {
        let picked = Picked { first: 10, bits: 1 | 1 << 1 | 1 << 63 };
        let above = |n| picked.above(n).numbers().collect::<Vec<_>>();
        assert_eq!(above(0), [10, 11, 73]);
        assert_eq!(above(9), [10, 11, 73]);
        assert_eq!(above(10), [11, 73]);
        assert_eq!(above(72), [73]);
        assert!(above(73).is_empty());
        assert!(above(1000).is_empty());
        assert_eq!(Picked::one(7).numbers().collect::<Vec<_>>(), [7]);
    }
}
