//! Running a command: one attempt at a task.
