//! Inputs out of inputs. The same seed makes the same inputs.

/// Makes inputs.
#[derive(Debug)]
pub(crate) struct Mutator {
    state: u64,
    words: &'static [&'static [u8]],
    shape: Shape,
    longest: usize,
}

/// What inputs look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Any byte, and lengths.
    Binary,
    /// Printable, or it would be refused before anything interesting happens.
    Text,
}

/// Numbers at which lengths and counts go wrong.
const EDGES: [u32; 10] = [0, 1, 3, 4, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff];

impl Mutator {
    pub(crate) fn new(seed: u64, words: &'static [&'static [u8]], shape: Shape, longest: usize) -> Self {
        // A state of zero would stay zero.
        Self { state: seed | 1 << 63, words, shape, longest }
    }

    /// One input: a mutated member of the pool, or two of them joined.
    pub(crate) fn next(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.pick(pool).cloned().unwrap_or_default();
        if self.below(4) == 0 {
            let other = self.pick(pool).cloned().unwrap_or_default();
            let (head, tail) = (self.below(input.len() + 1), self.below(other.len() + 1));
            input.truncate(head);
            input.extend(other.into_iter().skip(tail));
        }
        for _ in 0..=self.below(3) {
            self.mutate(&mut input);
        }
        input.truncate(self.longest);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        match self.below(8) {
            0 if self.shape == Shape::Binary => {
                let bit = self.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            1 => {
                let [mut value, ..] = self.random().to_be_bytes();
                if self.shape == Shape::Text {
                    value = b' ' + value % 95;
                }
                if let Some(byte) = input.get_mut(at) {
                    *byte = value;
                }
            }
            2 => {
                let end = (at + 1 + self.below(16)).min(input.len());
                if at < end {
                    input.drain(at..end);
                }
            }
            3 => {
                let end = (at + 1 + self.below(64)).min(input.len());
                let piece: Vec<u8> = input.get(at..end).unwrap_or_default().to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, piece);
            }
            4 if self.shape == Shape::Binary => {
                let edge = self.below(EDGES.len());
                let number = EDGES.get(edge).copied().unwrap_or_default().to_be_bytes();
                let end = (at + number.len()).min(input.len());
                input.splice(at..end, number);
            }
            // Rarely: what is cut off is lost to every input that comes of this one.
            5 if self.below(8) == 0 => input.truncate(at),
            _ => {
                let word = self.below(self.words.len());
                let word = self.words.get(word).copied().unwrap_or_default();
                let end = if self.below(2) == 0 { at } else { (at + word.len()).min(input.len()) };
                input.splice(at..end, word.iter().copied());
            }
        }
    }

    fn pick<'a, T>(&mut self, pool: &'a [T]) -> Option<&'a T> {
        let index = self.below(pool.len());
        pool.get(index)
    }

    /// A number below `bound`; 0 where there is none.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random() >> 16).unwrap_or_default().checked_rem(bound).unwrap_or_default()
    }

    /// xorshift64*: not for secrets.
    fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_inputs_again() {
        let pool = [b"select 1".to_vec(), b"begin".to_vec()];
        let make = |seed| {
            let mut mutator = Mutator::new(seed, &[b"word"], Shape::Binary, 64);
            (0..100).map(|_| mutator.next(&pool)).collect::<Vec<_>>()
        };
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
        assert!(make(9).iter().all(|input| input.len() <= 64));
    }
}
