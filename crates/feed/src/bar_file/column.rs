//! The columns of a file of bars: found by name, in any order, whatever else there is.

/// The columns that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Symbol,
    Start,
    Open,
    High,
    Low,
    Close,
    Volume,
    Vwap,
    Trades,
    Feed,
}

impl Column {
    pub(super) const COUNT: usize = 10;

    /// In the order they are written.
    pub(super) const ALL: [Self; Self::COUNT] = [
        Self::Symbol,
        Self::Start,
        Self::Open,
        Self::High,
        Self::Low,
        Self::Close,
        Self::Volume,
        Self::Vwap,
        Self::Trades,
        Self::Feed,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Symbol => "symbol",
            Self::Start => "start",
            Self::Open => "open",
            Self::High => "high",
            Self::Low => "low",
            Self::Close => "close",
            Self::Volume => "volume",
            Self::Vwap => "vwap",
            Self::Trades => "trades",
            Self::Feed => "feed",
        }
    }

    pub(super) const fn is_required(self) -> bool {
        !matches!(self, Self::Vwap | Self::Trades | Self::Feed)
    }

    /// The column a name means, in any case: `time_utc` stands for `start`.
    fn named(text: &str) -> Option<Self> {
        let text = if text.eq_ignore_ascii_case("time_utc") { Self::Start.name() } else { text };
        Self::ALL.into_iter().find(|column| column.name().eq_ignore_ascii_case(text))
    }
}

/// Where in a row the columns stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns([Option<usize>; Column::COUNT]);

impl Columns {
    /// Finds the columns among the names a file gives, `None` for a name that is no text. Says which required
    /// ones are missing, and which one is there twice.
    pub(super) fn find<'a>(names: impl Iterator<Item = Option<&'a str>>) -> Result<Self, String> {
        let mut at = [None; Column::COUNT];
        for (index, name) in names.enumerate() {
            let Some(column) = name.and_then(Column::named) else { continue };
            if at[column as usize].replace(index).is_some() {
                return Err(format!("names the column {} twice", column.name()));
            }
        }
        let missing: Vec<_> = Column::ALL
            .into_iter()
            .filter(|&column| column.is_required() && at[column as usize].is_none())
            .map(Column::name)
            .collect();
        match missing.as_slice() {
            [] => Ok(Self(at)),
            [one] => Err(format!("does not name the column {one}")),
            some => Err(format!("does not name the columns {}", some.join(", "))),
        }
    }

    pub(super) fn at(&self, column: Column) -> Option<usize> {
        self.0[column as usize]
    }
}
