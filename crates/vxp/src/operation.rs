//! What can be asked, in the protocol's own words.

/// An operation: the last segment of the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Send a package.
    SendEdoc,
    /// What waits for the caller's agencies.
    GetReceivedEdocList,
    /// A package, base64 in JSON.
    GetEdoc,
    /// A package, raw.
    DownloadEdoc,
    /// Acknowledge a package, or say that it cannot be read.
    UpdateStatus,
    /// How far each copy of a sent package is.
    GetSentEdocList,
    /// How many documents wait.
    CountReceiveEdoc,
    /// How many statuses wait.
    CountReceiveStatus,
    /// All agencies.
    GetAgenciesList,
    /// All agencies with a code of Decision 20/2020.
    GetAgenciesListQd20,
    /// All agencies with version, centre and the mark of deletion.
    GetSynchronizeUnit,
    /// Ask that an agency be added or changed.
    RegisterAgency,
    /// Ask that an agency be closed.
    DeleteAgency,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 13] = [
        Self::SendEdoc,
        Self::GetReceivedEdocList,
        Self::GetEdoc,
        Self::DownloadEdoc,
        Self::UpdateStatus,
        Self::GetSentEdocList,
        Self::CountReceiveEdoc,
        Self::CountReceiveStatus,
        Self::GetAgenciesList,
        Self::GetAgenciesListQd20,
        Self::GetSynchronizeUnit,
        Self::RegisterAgency,
        Self::DeleteAgency,
    ];

    /// Its name in the URL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendEdoc => "sendEdoc",
            Self::GetReceivedEdocList => "getReceivedEdocList",
            Self::GetEdoc => "getEdoc",
            Self::DownloadEdoc => "downloadEdoc",
            Self::UpdateStatus => "updateStatus",
            Self::GetSentEdocList => "getSentEdocList",
            Self::CountReceiveEdoc => "countReceiveEdoc",
            Self::CountReceiveStatus => "countReceiveStatus",
            Self::GetAgenciesList => "getAgenciesList",
            Self::GetAgenciesListQd20 => "getAgenciesListQD20",
            Self::GetSynchronizeUnit => "getSynchronizeUnit",
            Self::RegisterAgency => "registerAgency",
            Self::DeleteAgency => "deleteAgency",
        }
    }

    /// The operation that the last segment of a path names.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let name = path.trim_end_matches('/').rsplit('/').next()?;
        Self::ALL
            .into_iter()
            .find(|operation| operation.name() == name)
    }

    /// Whether it changes something.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(
            self,
            Self::SendEdoc | Self::UpdateStatus | Self::RegisterAgency | Self::DeleteAgency
        )
    }

    /// Whether the caller may use this HTTP method. What reads is asked by GET as well: the SDK
    /// names GET for the counters and sends POST.
    #[must_use]
    pub fn takes(self, method: &axum::http::Method) -> bool {
        use axum::http::Method;
        method == Method::POST || (method == Method::GET && !self.writes())
    }
}

/// The two kinds of packages: `messagetype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// A document.
    Edoc,
    /// A status.
    Status,
}

impl MessageType {
    /// As the protocol has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Edoc => "edoc",
            Self::Status => "status",
        }
    }

    /// Reads the word, whatever its case.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let word = word.trim();
        [Self::Edoc, Self::Status]
            .into_iter()
            .find(|known| known.word().eq_ignore_ascii_case(word))
    }
}

/// The transport states of `updateStatus`. They have nothing to do with the business statuses
/// 01…16, which travel as packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Progress {
    /// The receiver has the package and has stored it.
    Done,
    /// The receiver cannot use it.
    Fail,
    /// The receiver is at it.
    Processing,
}

impl Progress {
    /// As the protocol has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Fail => "fail",
            Self::Processing => "processing",
        }
    }

    /// Reads the word, whatever its case.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let word = word.trim();
        [Self::Done, Self::Fail, Self::Processing]
            .into_iter()
            .find(|known| known.word().eq_ignore_ascii_case(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t1_an_operation_is_the_last_segment_of_the_url() {
        for operation in Operation::ALL {
            let name = operation.name();
            for path in [
                format!("/{name}"),
                format!("/vxp/{name}"),
                format!("/{name}/"),
            ] {
                assert_eq!(Operation::of_path(&path), Some(operation), "{path}");
            }
        }
        for path in ["", "/", "/sendedoc", "/sendEdoc/x", "/getListUnit"] {
            assert_eq!(Operation::of_path(path), None, "{path}");
        }
    }

    #[test]
    fn what_writes_is_never_asked_by_get() {
        use axum::http::Method;
        for operation in Operation::ALL {
            assert!(operation.takes(&Method::POST));
            assert_eq!(operation.takes(&Method::GET), !operation.writes());
            assert!(!operation.takes(&Method::PUT));
        }
    }
}
