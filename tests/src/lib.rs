//! End-to-end suites: real processes, real faults.
