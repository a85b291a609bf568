//! Transactions of events and their meaning: sequencer, fold, index, registry, history.
