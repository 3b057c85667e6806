//! What takes a kernel or a cgroup tree that the test machine may not have: a virtual machine with Debian's kernel 6.1.

mod cgroups;
mod older_kernel;
mod site;
