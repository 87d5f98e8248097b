//! Plans for the directory, as they are printed. Each test builds the picture in a line or two.

mod absence;
mod attributes;
mod entrance;
mod joiner;
mod leaver;
mod restraint;
mod roles;
mod scene;
