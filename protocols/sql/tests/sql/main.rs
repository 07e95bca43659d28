//! What the analyser says about SQL: tables of text and expected analysis, and attacks on it.

#[path = "../corpus/mod.rs"]
mod corpus;
mod effects;
mod lineage;
mod normalise;
mod readers;
mod relations;
mod render;
mod robust;
