//! What an adapter is, what it applies to and who made it: signatures, statements, policies and the checks of a CI.
#![forbid(unsafe_code)]
