//! Numbers at random that can be had again.

/// A small generator (xorshift), whose seed is told and can be given by `SLUGLINE_SEED`.
pub(crate) struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    pub(crate) fn new() -> Self {
        let given = std::env::var("SLUGLINE_SEED").ok().and_then(|seed| seed.parse().ok());
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
        let seed = given.unwrap_or(u64::from(now.subsec_nanos()) << 8 | 1);
        Self::of(seed)
    }

    /// From a seed, which is not zero.
    pub(crate) fn of(seed: u64) -> Self {
        let seed = seed | 1;
        Self { seed, state: seed }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// From 0 to one below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % end
    }
}
