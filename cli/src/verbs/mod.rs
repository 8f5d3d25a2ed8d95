//! What each verb does, one file for each.
