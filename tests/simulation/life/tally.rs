//! How much was looked at.

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answers: u64,
    pub(crate) exact: u64,
    pub(crate) loose: u64,
    pub(crate) nobody: u64,
    pub(crate) twins: u64,
    pub(crate) changes: u64,
    pub(crate) faults: u64,
    pub(crate) orders: u64,
    pub(crate) reloads: u64,
    pub(crate) stayed: u64,
    pub(crate) moved: u64,
    pub(crate) freezes: u64,
    /// How freezes ended.
    pub(crate) sees: u64,
    pub(crate) real: u64,
    pub(crate) over: u64,
    pub(crate) damped: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.exact += other.exact;
        self.loose += other.loose;
        self.nobody += other.nobody;
        self.twins += other.twins;
        self.changes += other.changes;
        self.faults += other.faults;
        self.orders += other.orders;
        self.reloads += other.reloads;
        self.stayed += other.stayed;
        self.moved += other.moved;
        self.freezes += other.freezes;
        self.sees += other.sees;
        self.real += other.real;
        self.over += other.over;
        self.damped += other.damped;
    }
}
