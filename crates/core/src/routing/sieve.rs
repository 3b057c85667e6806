//! What is asked of every route first: whether the alert can have a name that the route asks for. That is a look at some bytes which
//! stand side by side for all routes, where to ask a route goes to many places in memory; so most of hundreds of routes cost an alert
//! a nanosecond or two. A sieve lets through all that its route takes, and some that it does not.

use super::matcher::Names;
use crate::Alert;

/// The bytes of a name that are compared.
const HEAD_BYTES: usize = 8;

/// Sinks that a sieve knows. A route that feeds one behind these is asked about each alert.
const MOST_SINKS: usize = 64;

/// Of one route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sieve {
    /// Which of the words it asks about.
    word: usize,
    /// The head of the name is this, as far as the mask says.
    head: u64,
    mask: u64,
    /// The mark of the name is one of these.
    marks: u64,
    /// The sinks that the route feeds, by their places among the targets.
    sinks: u64,
}

/// The words of an alert that routes ask about: stream, camera, area and connection.
pub(super) struct Words([Option<Word>; 4]);

/// A word of an alert, or a name.
#[derive(Clone, Copy)]
struct Word {
    /// Its first bytes, and zeros after them.
    head: u64,
    /// One bit, which different words mostly have in different places.
    mark: u64,
}

impl Sieve {
    /// Lets everything through.
    const OPEN: Self = Self {
        word: 0,
        head: 0,
        mask: 0,
        marks: 0,
        sinks: 0,
    };

    /// Of a route that feeds these sinks and asks for these names of a stream, a camera, an area and a connection.
    pub(super) fn new(names: [Option<&Names>; 4], sinks: &[usize]) -> Self {
        if sinks.iter().any(|&sink| sink >= MOST_SINKS) {
            return Self::OPEN;
        }
        let sinks = sinks.iter().fold(0, |all, sink| all | 1 << sink);
        let mut of_words = names.iter().enumerate();
        let found = of_words.find_map(|(word, names)| {
            let sieve = Self::of(names.as_ref()?)?;
            Some(Self { word, sinks, ..sieve })
        });
        found.unwrap_or(Self::OPEN)
    }

    /// Of these names, if they are single names or one beginning.
    fn of(names: &Names) -> Option<Self> {
        let (prefixes, patterns): (Vec<&str>, usize) = names.patterns();
        match (names.exact().count(), prefixes.as_slice(), patterns) {
            (1.., [], 0) => {
                let marks = names.exact().fold(0, |marks, name| marks | Word::of(name).mark);
                let mut heads = names.exact().map(|name| Word::of(name).head);
                let (head, is_only) = (heads.next()?, heads.next().is_none());
                let mask = if is_only { u64::MAX } else { 0 };
                Some(Self {
                    head: head & mask,
                    mask,
                    marks,
                    ..Self::OPEN
                })
            }
            (0, [prefix], 0) => {
                let bits = prefix.len().min(HEAD_BYTES) * 8;
                let mask = u64::MAX.checked_shr(64 - u32::try_from(bits).ok()?).unwrap_or(0);
                Some(Self {
                    head: Word::of(prefix).head & mask,
                    mask,
                    marks: u64::MAX,
                    ..Self::OPEN
                })
            }
            _ => None,
        }
    }

    /// Whether its route is to be asked. If not, the route does not take the alert, because of a name.
    pub(super) fn lets_through(&self, words: &Words) -> bool {
        // An open one has no marks.
        let takes = |word: &Word| (word.head ^ self.head) & self.mask == 0 && word.mark & self.marks != 0;
        self.marks == 0 || words.0[self.word].as_ref().is_some_and(takes)
    }

    /// The places of the sinks that the route feeds, where it is not open.
    pub(super) fn sinks(&self) -> impl Iterator<Item = usize> {
        let mut left = self.sinks;
        std::iter::from_fn(move || {
            let next = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (next < MOST_SINKS).then_some(next)
        })
    }
}

impl Words {
    pub(super) fn of(alert: &Alert) -> Self {
        let camera = alert.camera.as_ref();
        let words = [
            camera.map(|camera| camera.id.as_str()),
            camera.and_then(|camera| camera.name.as_deref()),
            alert.area(),
            Some(alert.connection.as_str()),
        ];
        Self(words.map(|word| word.map(Word::of)))
    }
}

impl Word {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let head = eight(&bytes[..bytes.len().min(HEAD_BYTES)]);
        let tail = eight(&bytes[bytes.len().saturating_sub(HEAD_BYTES)..]);
        // The golden ratio spreads numbers that are close to each other (Knuth, The Art of Computer Programming, 6.4).
        let spread = (head ^ tail.rotate_left(32) ^ bytes.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            head,
            mark: 1 << (spread >> 58),
        }
    }
}

/// Up to eight bytes as a number, the first one as its lowest byte.
fn eight(bytes: &[u8]) -> u64 {
    let mut number = [0; HEAD_BYTES];
    number[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a route that asks for these streams is asked about an alert of this one, and whether it would take it.
    fn asked(names: &[&str], stream: &str) -> (bool, bool) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let names = Names::new(&names).unwrap();
        let words = Words([Some(Word::of(stream)), None, None, None]);
        let sieve = Sieve::new([Some(&names), None, None, None], &[3, 7]);
        (sieve.lets_through(&words), names.contain(stream))
    }

    #[test]
    fn what_a_route_takes_is_let_through() {
        let words = [
            "",
            "a",
            "yard",
            "yard-1",
            "yard-12",
            "yard-123",
            "yard-1234",
            "yard-12345",
            "yard-1234567890",
            "back door",
            "über dem Hof",
        ];
        let patterns = [
            "*",
            "y*",
            "yard-1*",
            "yard-123*",
            "yard-12345*",
            "ü*",
            "?ard",
            "*door",
        ];
        let names: Vec<&str> = words.iter().chain(&patterns).copied().collect();
        for first in &names {
            for second in &names {
                for word in words {
                    for asks_for in [&[*first][..], &[*first, *second]] {
                        let (is_asked, takes) = asked(asks_for, word);
                        assert!(is_asked || !takes, "{asks_for:?} takes {word}");
                    }
                }
            }
        }
    }

    #[test]
    fn most_of_the_rest_is_not() {
        for (names, word) in [
            (&["yard"][..], "yard-1"),
            (&["yard-1*"], "yard-2"),
            (&["yard-1", "yard-2"], "back door"),
            (&["back*"], "yard"),
        ] {
            assert_eq!(asked(names, word), (false, false), "{names:?}, {word}");
        }
        // An alert of no camera has none of these names.
        let names = Names::new(&["*".to_owned()]).unwrap();
        let sieve = Sieve::new([Some(&names), None, None, None], &[]);
        assert!(!sieve.lets_through(&Words([None; 4])));
    }

    #[test]
    fn the_sinks_of_a_route_are_known() {
        let names = Names::new(&["yard".to_owned()]).unwrap();
        let sinks =
            |sinks: &[usize]| Vec::from_iter(Sieve::new([Some(&names), None, None, None], sinks).sinks());
        assert_eq!(sinks(&[63, 0, 5]), [0, 5, 63]);
        assert_eq!(sinks(&[]), [0; 0]);
        // It is asked about each alert.
        let words = Words([Some(Word::of("back door")), None, None, None]);
        assert!(Sieve::new([Some(&names), None, None, None], &[64]).lets_through(&words));
    }
}
