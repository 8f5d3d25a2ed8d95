//! Tests of lists.
