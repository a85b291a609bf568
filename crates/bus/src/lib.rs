//! Queues per system and lane.
