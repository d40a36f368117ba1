//! The table of system calls: number, name, typed arguments, handler, and how complete it is.
//!
//! `docs/syscalls.md` is generated from it. One line a call, in number order:
//! `number name(argument: Type, …) = module::handler [full]` or `[partly "what is missing"]`.

use alloc::string::String;

use super::argument::{Argument, PathAddr};
use super::packed::Packed;
use super::{
    attributes, capability, descriptor, directory, epoll, eventfd, exec, identity, inotify, limits, link,
    lock, membarrier, memfd, memory, message, open, path, pidfd, pipe, poll, positioned, prctl, process,
    process_memory, read_write, scheduling, signal, socket, splice, stat, statfs, system, thread, time,
    timer, transfer, xattr,
};
use crate::errno::Errno;
use crate::process::{Context, Fd};
use crate::room;
use crate::user_space::Addr;

/// How complete a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As on Linux, as far as the tests know.
    Full,
    /// The text says what is missing.
    Partly(&'static str),
}

macro_rules! state {
    (full) => {
        State::Full
    };
    (partly $what:literal) => {
        State::Partly($what)
    };
}

macro_rules! syscalls {
    ($($number:literal $name:ident($($argument:ident: $kind:ty),*) = $handler:path [$($state:tt)*])*) => {
        /// Calls the handler of system call `number`; `ENOSYS` when there is none, `ENOMEM` when it would make something and the library
        /// OS has no room for it.
        pub fn dispatch(context: &Context, number: u64) -> Packed {
            if room::is_maker(number)
                && let Err(error) = room::check()
            {
                return Packed::from(Err(error));
            }
            match number {
                $($number => {
                    #[allow(unused_mut, unused_variables)]
                    let mut order = 0..6;
                    Packed::from($handler(
                        context,
                        $(<$kind as Argument>::from_register(context.argument(order.next().unwrap_or(0)))),*
                    ))
                })*
                _ => Packed::from(Err(Errno::ENOSYS)),
            }
        }

        /// Name of system call `number`, if it has a handler.
        pub fn name(number: u64) -> Option<&'static str> {
            match number {
                $($number => Some(stringify!($name)),)*
                _ => None,
            }
        }

        /// The call as strace prints it, without its result.
        pub fn show(number: u64, arguments: &[u64; 6]) -> Option<String> {
            match number {
                $($number => {
                    #[allow(unused_mut)]
                    let mut text = String::from(concat!(stringify!($name), "("));
                    #[allow(unused_mut, unused_variables)]
                    let mut registers = arguments.iter().copied();
                    $(
                        if !text.ends_with('(') {
                            text.push_str(", ");
                        }
                        text.push_str(&<$kind as Argument>::show(registers.next().unwrap_or(0)));
                        let _ = stringify!($argument);
                    )*
                    text.push(')');
                    Some(text)
                })*
                _ => None,
            }
        }

        /// Every call with a handler: number, name, state.
        pub const ALL: &[(u64, &str, State)] = &[$(($number, stringify!($name), state!($($state)*)),)*];
    };
}

syscalls! {
    0 read(fd: Fd, at: Addr, length: usize) = read_write::sys_read [full]
    1 write(fd: Fd, at: Addr, length: usize) = read_write::sys_write [full]
    2 open(path: PathAddr, flags: u32, mode: u32) = open::sys_open [full]
    3 close(fd: Fd) = read_write::sys_close [full]
    4 stat(path: PathAddr, at: Addr) = stat::sys_stat [full]
    5 fstat(fd: Fd, at: Addr) = stat::sys_fstat [full]
    6 lstat(path: PathAddr, at: Addr) = stat::sys_lstat [full]
    7 poll(entries: Addr, count: u32, timeout: i32) = poll::sys_poll [full]
    8 lseek(fd: Fd, offset: i64, whence: u32) = directory::sys_lseek [full]
    9 mmap(at: Addr, length: u64, protection: u64, flags: u32, fd: Fd, offset: u64) = memory::sys_mmap [partly "no huge pages"]
    10 mprotect(at: Addr, length: u64, protection: u64) = memory::sys_mprotect [full]
    11 munmap(at: Addr, length: u64) = memory::sys_munmap [full]
    12 brk(at: Addr) = memory::sys_brk [full]
    13 rt_sigaction(number: u32, new: Addr, old: Addr, size: usize) = signal::sys_rt_sigaction [full]
    14 rt_sigprocmask(how: u32, new: Addr, old: Addr, size: usize) = signal::sys_rt_sigprocmask [full]
    15 rt_sigreturn() = signal::sys_rt_sigreturn [full]
    16 ioctl(fd: Fd, request: u32, argument: u64) = descriptor::sys_ioctl [partly "requests of the kinds of files that exist"]
    17 pread64(fd: Fd, at: Addr, length: usize, offset: i64) = read_write::sys_pread64 [full]
    18 pwrite64(fd: Fd, at: Addr, length: usize, offset: i64) = read_write::sys_pwrite64 [full]
    19 readv(fd: Fd, vector: Addr, count: usize) = read_write::sys_readv [full]
    20 writev(fd: Fd, vector: Addr, count: usize) = read_write::sys_writev [full]
    21 access(path: PathAddr, mode: u32) = path::sys_access [full]
    22 pipe(at: Addr) = pipe::sys_pipe [full]
    23 select(count: i32, read: Addr, write: Addr, except: Addr, timeout: Addr) = poll::sys_select [full]
    24 sched_yield() = scheduling::sys_sched_yield [full]
    25 mremap(at: Addr, old_length: u64, new_length: u64, flags: u32, target: u64) = memory::sys_mremap [partly "executable file mappings with rewritten calls neither move nor grow"]
    26 msync(at: Addr, length: u64, flags: u32) = memory::sys_msync [full]
    27 mincore(at: Addr, length: u64, vector: Addr) = memory::sys_mincore [partly "anonymous memory counts as resident from its mmap on"]
    28 madvise(at: Addr, length: u64, advice: u32) = memory::sys_madvise [partly "hints have no effect; MADV_REMOVE for anonymous memory only"]
    32 dup(fd: Fd) = descriptor::sys_dup [full]
    33 dup2(old: Fd, new: Fd) = descriptor::sys_dup2 [full]
    34 pause() = signal::sys_pause [full]
    35 nanosleep(at: Addr, rest: Addr) = time::sys_nanosleep [full]
    36 getitimer(which: u32, at: Addr) = timer::sys_getitimer [full]
    37 alarm(seconds: u32) = timer::sys_alarm [full]
    38 setitimer(which: u32, new: Addr, old: Addr) = timer::sys_setitimer [partly "ITIMER_VIRTUAL and ITIMER_PROF count the time that threads do not sleep"]
    39 getpid() = identity::sys_getpid [full]
    40 sendfile(out: Fd, input: Fd, offset: Addr, count: usize) = transfer::sys_sendfile [full]
    41 socket(domain: u32, kind: u32, protocol: u32) = socket::sys_socket [partly "AF_UNIX, AF_INET, AF_INET6; AF_NETLINK for dumps of interfaces and addresses, without groups; no raw sockets"]
    42 connect(fd: Fd, at: Addr, length: i32) = socket::sys_connect [full]
    43 accept(fd: Fd, at: Addr, length_at: Addr) = socket::sys_accept [full]
    44 sendto(fd: Fd, at: Addr, length: usize, flags: u32, to: Addr, to_length: i32) = message::sys_sendto [full]
    45 recvfrom(fd: Fd, at: Addr, length: usize, flags: u32, from: Addr, from_length: Addr) = message::sys_recvfrom [partly "no error queue"]
    46 sendmsg(fd: Fd, at: Addr, flags: u32) = message::sys_sendmsg [partly "control messages of Internet sockets: IP_PKTINFO, TTL, TOS, their IPv6 likes, UDP_SEGMENT"]
    47 recvmsg(fd: Fd, at: Addr, flags: u32) = message::sys_recvmsg [partly "control messages of Internet sockets: IP_PKTINFO, TTL, TOS, their IPv6 likes, UDP_GRO; time stamps are taken inside; no error queue"]
    48 shutdown(fd: Fd, how: u32) = socket::sys_shutdown [full]
    49 bind(fd: Fd, at: Addr, length: i32) = socket::sys_bind [full]
    50 listen(fd: Fd, backlog: i32) = socket::sys_listen [full]
    51 getsockname(fd: Fd, at: Addr, length_at: Addr) = socket::sys_getsockname [full]
    52 getpeername(fd: Fd, at: Addr, length_at: Addr) = socket::sys_getpeername [full]
    53 socketpair(domain: u32, kind: u32, protocol: u32, at: Addr) = socket::sys_socketpair [full]
    54 setsockopt(fd: Fd, level: u32, name: u32, at: Addr, length: i32) = socket::sys_setsockopt [partly "the usual options"]
    55 getsockopt(fd: Fd, level: u32, name: u32, at: Addr, length_at: Addr) = socket::sys_getsockopt [partly "the usual options"]
    56 clone(flags: u64, stack: Addr, parent_tid: Addr, child_tid: Addr, tls: u64) = process::sys_clone [partly "no fork: CLONE_VM is needed; no namespaces"]
    57 fork() = process::sys_fork [partly "always ENOSYS"]
    58 vfork() = process::sys_vfork [full]
    59 execve(path: PathAddr, arguments: Addr, environment: Addr) = exec::sys_execve [full]
    60 exit(status: i32) = process::sys_exit [full]
    61 wait4(pid: i32, status: Addr, options: u32, usage: Addr) = process::sys_wait4 [partly "resource usage is zero"]
    62 kill(pid: i32, number: u32) = signal::sys_kill [full]
    63 uname(at: Addr) = system::sys_uname [full]
    72 fcntl(fd: Fd, command: u32, argument: u64) = descriptor::sys_fcntl [partly "no leases, no owners (F_SETOWN), no notices (F_NOTIFY)"]
    73 flock(fd: Fd, operation: u32) = lock::sys_flock [full]
    74 fsync(fd: Fd) = transfer::sys_fsync [full]
    75 fdatasync(fd: Fd) = transfer::sys_fdatasync [full]
    76 truncate(path: PathAddr, size: i64) = transfer::sys_truncate [full]
    77 ftruncate(fd: Fd, size: i64) = transfer::sys_ftruncate [full]
    78 getdents(fd: Fd, at: Addr, size: u32) = directory::sys_getdents [full]
    79 getcwd(at: Addr, size: usize) = path::sys_getcwd [full]
    80 chdir(path: PathAddr) = path::sys_chdir [full]
    81 fchdir(fd: Fd) = path::sys_fchdir [full]
    82 rename(old: PathAddr, new: PathAddr) = link::sys_rename [full]
    83 mkdir(path: PathAddr, mode: u32) = link::sys_mkdir [full]
    84 rmdir(path: PathAddr) = link::sys_rmdir [full]
    85 creat(path: PathAddr, mode: u32) = open::sys_creat [full]
    86 link(old: PathAddr, new: PathAddr) = link::sys_link [full]
    87 unlink(path: PathAddr) = link::sys_unlink [full]
    88 symlink(target: PathAddr, path: PathAddr) = link::sys_symlink [full]
    89 readlink(path: PathAddr, at: Addr, size: usize) = path::sys_readlink [full]
    90 chmod(path: PathAddr, mode: u32) = attributes::sys_chmod [full]
    91 fchmod(fd: Fd, mode: u32) = attributes::sys_fchmod [partly "files of the tree only"]
    92 chown(path: PathAddr, uid: u32, gid: u32) = attributes::sys_chown [full]
    93 fchown(fd: Fd, uid: u32, gid: u32) = attributes::sys_fchown [partly "files of the tree only"]
    94 lchown(path: PathAddr, uid: u32, gid: u32) = attributes::sys_lchown [full]
    95 umask(mask: u32) = open::sys_umask [full]
    96 gettimeofday(at: Addr, zone: Addr) = time::sys_gettimeofday [full]
    97 getrlimit(resource: u32, at: Addr) = limits::sys_getrlimit [full]
    98 getrusage(who: i32, at: Addr) = limits::sys_getrusage [partly "user time only"]
    99 sysinfo(at: Addr) = system::sys_sysinfo [partly "memory is the program range; no load averages"]
    100 times(at: Addr) = limits::sys_times [partly "user time only"]
    102 getuid() = identity::sys_getuid [full]
    104 getgid() = identity::sys_getgid [full]
    105 setuid(uid: u32) = identity::sys_setuid [full]
    106 setgid(gid: u32) = identity::sys_setgid [full]
    107 geteuid() = identity::sys_geteuid [full]
    108 getegid() = identity::sys_getegid [full]
    109 setpgid(pid: i32, group: i32) = identity::sys_setpgid [full]
    110 getppid() = identity::sys_getppid [full]
    111 getpgrp() = identity::sys_getpgrp [full]
    112 setsid() = identity::sys_setsid [full]
    113 setreuid(uid: u32, euid: u32) = identity::sys_setreuid [full]
    114 setregid(gid: u32, egid: u32) = identity::sys_setregid [full]
    115 getgroups(size: i32, list: Addr) = identity::sys_getgroups [full]
    116 setgroups(size: usize, list: Addr) = identity::sys_setgroups [full]
    117 setresuid(uid: u32, euid: u32, suid: u32) = identity::sys_setresuid [full]
    118 getresuid(uid: Addr, euid: Addr, suid: Addr) = identity::sys_getresuid [full]
    119 setresgid(gid: u32, egid: u32, sgid: u32) = identity::sys_setresgid [full]
    120 getresgid(gid: Addr, egid: Addr, sgid: Addr) = identity::sys_getresgid [full]
    121 getpgid(pid: i32) = identity::sys_getpgid [full]
    122 setfsuid(uid: u32) = identity::sys_setfsuid [full]
    123 setfsgid(gid: u32) = identity::sys_setfsgid [full]
    124 getsid(pid: i32) = identity::sys_getsid [full]
    125 capget(header: Addr, data: Addr) = capability::sys_capget [full]
    126 capset(header: Addr, data: Addr) = capability::sys_capset [partly "for the whole process"]
    127 rt_sigpending(at: Addr, size: usize) = signal::sys_rt_sigpending [full]
    128 rt_sigtimedwait(set: Addr, info: Addr, timeout: Addr, size: usize) = signal::sys_rt_sigtimedwait [full]
    129 rt_sigqueueinfo(pid: i32, number: u32, at: Addr) = signal::sys_rt_sigqueueinfo [full]
    130 rt_sigsuspend(at: Addr, size: usize) = signal::sys_rt_sigsuspend [full]
    131 sigaltstack(new: Addr, old: Addr) = signal::sys_sigaltstack [full]
    132 utime(path: PathAddr, times: Addr) = attributes::sys_utime [full]
    133 mknod(path: PathAddr, mode: u32, device: u32) = link::sys_mknod [full]
    135 personality(persona: u32) = prctl::sys_personality [partly "PER_LINUX only"]
    137 statfs(path: PathAddr, at: Addr) = statfs::sys_statfs [full]
    138 fstatfs(fd: Fd, at: Addr) = statfs::sys_fstatfs [full]
    140 getpriority(which: u32, who: u32) = scheduling::sys_getpriority [full]
    141 setpriority(which: u32, who: u32, value: i32) = scheduling::sys_setpriority [partly "remembered, without effect"]
    142 sched_setparam(tid: i32, parameter: Addr) = scheduling::sys_sched_setparam [partly "priority 0 only"]
    143 sched_getparam(tid: i32, parameter: Addr) = scheduling::sys_sched_getparam [full]
    144 sched_setscheduler(tid: i32, policy: i32, parameter: Addr) = scheduling::sys_sched_setscheduler [partly "no real-time policies"]
    145 sched_getscheduler(tid: i32) = scheduling::sys_sched_getscheduler [full]
    146 sched_get_priority_max(policy: i32) = scheduling::sys_sched_get_priority_max [full]
    147 sched_get_priority_min(policy: i32) = scheduling::sys_sched_get_priority_min [full]
    148 sched_rr_get_interval(tid: i32, at: Addr) = scheduling::sys_sched_rr_get_interval [full]
    149 mlock(at: Addr, length: u64) = memory::sys_mlock [partly "enclave memory is not pinned in the host"]
    150 munlock(at: Addr, length: u64) = memory::sys_munlock [full]
    151 mlockall(flags: u32) = memory::sys_mlockall [partly "enclave memory is not pinned in the host"]
    152 munlockall() = memory::sys_munlockall [full]
    157 prctl(option: u32, a: u64, b: u64, c: u64, d: u64) = prctl::sys_prctl [partly "names, capabilities, dumpable, no_new_privs, subreaper flag and the like"]
    158 arch_prctl(code: u32, value: u64) = thread::sys_arch_prctl [partly "no gs base"]
    160 setrlimit(resource: u32, at: Addr) = limits::sys_setrlimit [full]
    161 chroot(path: PathAddr) = link::sys_chroot [full]
    162 sync() = transfer::sys_sync [full]
    164 settimeofday(at: Addr, zone: Addr) = time::sys_settimeofday [partly "always EPERM, as without CAP_SYS_TIME"]
    165 mount(source: PathAddr, target: PathAddr, kind: PathAddr, flags: u64) = link::sys_mount [partly "always EPERM"]
    166 umount2(target: PathAddr, flags: u32) = link::sys_umount2 [partly "always EPERM"]
    170 sethostname(at: Addr, length: usize) = system::sys_sethostname [full]
    186 gettid() = thread::sys_gettid [full]
    187 readahead(fd: Fd, offset: i64, count: usize) = transfer::sys_readahead [partly "without effect"]
    188 setxattr(path: PathAddr, name: Addr, value: Addr, size: usize, flags: u32) = xattr::sys_setxattr [partly "no POSIX access control lists"]
    189 lsetxattr(path: PathAddr, name: Addr, value: Addr, size: usize, flags: u32) = xattr::sys_lsetxattr [partly "no POSIX access control lists"]
    190 fsetxattr(fd: Fd, name: Addr, value: Addr, size: usize, flags: u32) = xattr::sys_fsetxattr [partly "no POSIX access control lists"]
    191 getxattr(path: PathAddr, name: Addr, to: Addr, size: usize) = xattr::sys_getxattr [full]
    192 lgetxattr(path: PathAddr, name: Addr, to: Addr, size: usize) = xattr::sys_lgetxattr [full]
    193 fgetxattr(fd: Fd, name: Addr, to: Addr, size: usize) = xattr::sys_fgetxattr [full]
    194 listxattr(path: PathAddr, to: Addr, size: usize) = xattr::sys_listxattr [full]
    195 llistxattr(path: PathAddr, to: Addr, size: usize) = xattr::sys_llistxattr [full]
    196 flistxattr(fd: Fd, to: Addr, size: usize) = xattr::sys_flistxattr [full]
    197 removexattr(path: PathAddr, name: Addr) = xattr::sys_removexattr [full]
    198 lremovexattr(path: PathAddr, name: Addr) = xattr::sys_lremovexattr [full]
    199 fremovexattr(fd: Fd, name: Addr) = xattr::sys_fremovexattr [full]
    200 tkill(tid: i32, number: u32) = signal::sys_tkill [full]
    201 time(at: Addr) = time::sys_time [full]
    202 futex(at: Addr, operation: i32, value: u32, timeout: u64, second: Addr, third: u32) = thread::sys_futex [partly "no priority inheritance"]
    203 sched_setaffinity(tid: i32, size: usize, at: Addr) = scheduling::sys_sched_setaffinity [partly "without effect"]
    204 sched_getaffinity(tid: i32, size: usize, at: Addr) = scheduling::sys_sched_getaffinity [full]
    213 epoll_create(size: i32) = epoll::sys_epoll_create [full]
    217 getdents64(fd: Fd, at: Addr, size: u32) = directory::sys_getdents64 [full]
    218 set_tid_address(at: Addr) = thread::sys_set_tid_address [full]
    221 fadvise64(fd: Fd, offset: i64, length: i64, advice: u32) = transfer::sys_fadvise64 [partly "without effect"]
    222 timer_create(clock: i32, event: Addr, at: Addr) = timer::sys_timer_create [partly "a later change of the real time is not followed"]
    223 timer_settime(timer: i32, flags: u32, new: Addr, old: Addr) = timer::sys_timer_settime [full]
    224 timer_gettime(timer: i32, at: Addr) = timer::sys_timer_gettime [full]
    225 timer_getoverrun(timer: i32) = timer::sys_timer_getoverrun [full]
    226 timer_delete(timer: i32) = timer::sys_timer_delete [full]
    227 clock_settime(clock: i32, at: Addr) = time::sys_clock_settime [partly "always EPERM, as without CAP_SYS_TIME"]
    228 clock_gettime(clock: i32, at: Addr) = time::sys_clock_gettime [partly "processor clocks count the time that threads do not sleep; CLOCK_TAI is CLOCK_REALTIME"]
    229 clock_getres(clock: i32, at: Addr) = time::sys_clock_getres [full]
    230 clock_nanosleep(clock: i32, flags: u32, at: Addr, rest: Addr) = time::sys_clock_nanosleep [partly "not on processor clocks; a later change of the real time is not followed"]
    231 exit_group(status: i32) = process::sys_exit_group [full]
    232 epoll_wait(epoll: Fd, events: Addr, count: i32, timeout: i32) = epoll::sys_epoll_wait [full]
    233 epoll_ctl(epoll: Fd, operation: u32, fd: Fd, event: Addr) = epoll::sys_epoll_ctl [full]
    234 tgkill(group: i32, tid: i32, number: u32) = signal::sys_tgkill [full]
    235 utimes(path: PathAddr, times: Addr) = attributes::sys_utimes [full]
    237 mbind(at: Addr, length: u64, mode: u32, nodes: Addr, count: u64, flags: u32) = memory::sys_mbind [partly "one node: without effect"]
    238 set_mempolicy(mode: u32, nodes: Addr, count: u64) = memory::sys_set_mempolicy [partly "one node: without effect"]
    239 get_mempolicy(mode: Addr, nodes: Addr, count: u64, at: u64, flags: u64) = memory::sys_get_mempolicy [partly "one node, the default policy"]
    247 waitid(kind: u32, id: u32, info: Addr, options: u32, usage: Addr) = process::sys_waitid [partly "no stops; resource usage is zero"]
    253 inotify_init() = inotify::sys_inotify_init [full]
    254 inotify_add_watch(fd: Fd, path: PathAddr, mask: u32) = inotify::sys_inotify_add_watch [partly "nothing is told of /proc and /sys; of host directories, what happens through the enclave"]
    255 inotify_rm_watch(fd: Fd, watch: i32) = inotify::sys_inotify_rm_watch [full]
    257 openat(directory: Fd, path: PathAddr, flags: u32, mode: u32) = open::sys_openat [full]
    258 mkdirat(dirfd: Fd, path: PathAddr, mode: u32) = link::sys_mkdirat [full]
    259 mknodat(dirfd: Fd, path: PathAddr, mode: u32, device: u32) = link::sys_mknodat [full]
    260 fchownat(dirfd: Fd, path: PathAddr, uid: u32, gid: u32, flags: u32) = attributes::sys_fchownat [full]
    261 futimesat(dirfd: Fd, path: PathAddr, times: Addr) = attributes::sys_futimesat [full]
    262 newfstatat(directory: Fd, path: PathAddr, at: Addr, flags: u32) = stat::sys_newfstatat [full]
    263 unlinkat(dirfd: Fd, path: PathAddr, flags: u32) = link::sys_unlinkat [full]
    264 renameat(old_dirfd: Fd, old: PathAddr, new_dirfd: Fd, new: PathAddr) = link::sys_renameat [full]
    265 linkat(old_dirfd: Fd, old: PathAddr, new_dirfd: Fd, new: PathAddr, flags: u32) = link::sys_linkat [full]
    266 symlinkat(target: PathAddr, dirfd: Fd, path: PathAddr) = link::sys_symlinkat [full]
    267 readlinkat(directory: Fd, path: PathAddr, at: Addr, size: usize) = path::sys_readlinkat [full]
    268 fchmodat(dirfd: Fd, path: PathAddr, mode: u32) = attributes::sys_fchmodat [full]
    269 faccessat(directory: Fd, path: PathAddr, mode: u32) = path::sys_faccessat [full]
    270 pselect6(count: i32, read: Addr, write: Addr, except: Addr, timeout: Addr, mask: Addr) = poll::sys_pselect6 [full]
    271 ppoll(entries: Addr, count: u32, timeout: Addr, mask: Addr, size: usize) = poll::sys_ppoll [full]
    273 set_robust_list(head: Addr, size: usize) = thread::sys_set_robust_list [full]
    274 get_robust_list(tid: i32, head: Addr, size: Addr) = thread::sys_get_robust_list [full]
    275 splice(input: Fd, in_offset: Addr, out: Fd, out_offset: Addr, length: usize, flags: u32) = splice::sys_splice [full]
    276 tee(input: Fd, out: Fd, length: usize, flags: u32) = splice::sys_tee [full]
    277 sync_file_range(fd: Fd, offset: i64, length: i64, flags: u32) = transfer::sys_sync_file_range [full]
    278 vmsplice(fd: Fd, vector: Addr, count: usize, flags: u32) = splice::sys_vmsplice [full]
    280 utimensat(dirfd: Fd, path: PathAddr, times: Addr, flags: u32) = attributes::sys_utimensat [full]
    281 epoll_pwait(epoll: Fd, events: Addr, count: i32, timeout: i32, mask: Addr, size: usize) = epoll::sys_epoll_pwait [full]
    282 signalfd(fd: Fd, set: Addr, size: usize) = signal::sys_signalfd [full]
    283 timerfd_create(clock: i32, flags: u32) = timer::sys_timerfd_create [partly "a later change of the real time is not followed"]
    284 eventfd(count: u32) = eventfd::sys_eventfd [full]
    285 fallocate(fd: Fd, mode: u32, offset: i64, length: i64) = transfer::sys_fallocate [partly "no collapsing, inserting and unsharing"]
    286 timerfd_settime(fd: Fd, flags: u32, new: Addr, old: Addr) = timer::sys_timerfd_settime [full]
    287 timerfd_gettime(fd: Fd, at: Addr) = timer::sys_timerfd_gettime [full]
    288 accept4(fd: Fd, at: Addr, length_at: Addr, flags: u32) = socket::sys_accept4 [full]
    289 signalfd4(fd: Fd, set: Addr, size: usize, flags: u32) = signal::sys_signalfd4 [full]
    290 eventfd2(count: u32, flags: u32) = eventfd::sys_eventfd2 [full]
    291 epoll_create1(flags: u32) = epoll::sys_epoll_create1 [full]
    292 dup3(old: Fd, new: Fd, flags: u32) = descriptor::sys_dup3 [full]
    293 pipe2(at: Addr, flags: u32) = pipe::sys_pipe2 [partly "no notification pipes"]
    294 inotify_init1(flags: u32) = inotify::sys_inotify_init1 [full]
    295 preadv(fd: Fd, vector: Addr, count: usize, low: i64) = positioned::sys_preadv [full]
    296 pwritev(fd: Fd, vector: Addr, count: usize, low: i64) = positioned::sys_pwritev [full]
    297 rt_tgsigqueueinfo(group: i32, tid: i32, number: u32, at: Addr) = signal::sys_rt_tgsigqueueinfo [full]
    299 recvmmsg(fd: Fd, at: Addr, count: u32, flags: u32, timeout: Addr) = message::sys_recvmmsg [full]
    302 prlimit64(pid: i32, resource: u32, new: Addr, old: Addr) = limits::sys_prlimit64 [full]
    306 syncfs(fd: Fd) = transfer::sys_syncfs [full]
    307 sendmmsg(fd: Fd, at: Addr, count: u32, flags: u32) = message::sys_sendmmsg [full]
    309 getcpu(cpu: Addr, node: Addr) = scheduling::sys_getcpu [partly "always processor 0"]
    310 process_vm_readv(pid: i32, local: Addr, local_count: usize, remote: Addr, remote_count: usize, flags: u64) = process_memory::sys_process_vm_readv [partly "only memory that the caller shares"]
    311 process_vm_writev(pid: i32, local: Addr, local_count: usize, remote: Addr, remote_count: usize, flags: u64) = process_memory::sys_process_vm_writev [partly "only memory that the caller shares"]
    316 renameat2(old_dirfd: Fd, old: PathAddr, new_dirfd: Fd, new: PathAddr, flags: u32) = link::sys_renameat2 [partly "no RENAME_WHITEOUT"]
    318 getrandom(at: Addr, length: usize, flags: u32) = system::sys_getrandom [full]
    319 memfd_create(name: Addr, flags: u32) = memfd::sys_memfd_create [partly "no huge pages"]
    322 execveat(directory: Fd, path: PathAddr, arguments: Addr, environment: Addr, flags: u32) = exec::sys_execveat [full]
    324 membarrier(command: i32, flags: u32, processor: i32) = membarrier::sys_membarrier [partly "no SYNC_CORE and RSEQ commands; QUERY says so"]
    325 mlock2(at: Addr, length: u64, flags: u32) = memory::sys_mlock2 [partly "as mlock"]
    326 copy_file_range(input: Fd, in_offset: Addr, out: Fd, out_offset: Addr, length: usize, flags: u32) = transfer::sys_copy_file_range [full]
    327 preadv2(fd: Fd, vector: Addr, count: usize, low: i64, high: u64, flags: u32) = positioned::sys_preadv2 [partly "RWF_NOWAIT is not honoured"]
    328 pwritev2(fd: Fd, vector: Addr, count: usize, low: i64, high: u64, flags: u32) = positioned::sys_pwritev2 [partly "RWF_NOWAIT is not honoured"]
    329 pkey_mprotect(at: Addr, length: u64, protection: u64, key: i32) = memory::sys_pkey_mprotect [partly "the default key only"]
    330 pkey_alloc(flags: u64, rights: u64) = memory::sys_pkey_alloc [partly "always ENOSPC, as without the processor feature"]
    331 pkey_free(key: i32) = memory::sys_pkey_free [partly "always EINVAL"]
    332 statx(directory: Fd, path: PathAddr, flags: u32, mask: u32, at: Addr) = stat::sys_statx [full]
    334 rseq(at: Addr, length: u32, flags: i32, signature: u32) = system::sys_rseq [partly "always ENOSYS: only who switches threads, the host, knows when a sequence was cut short"]
    424 pidfd_send_signal(fd: Fd, signal: u32, at: Addr, flags: u32) = pidfd::sys_pidfd_send_signal [partly "whole processes only"]
    434 pidfd_open(pid: i32, flags: u32) = pidfd::sys_pidfd_open [partly "no PIDFD_THREAD"]
    435 clone3(at: Addr, size: usize) = process::sys_clone3 [partly "as clone"]
    436 close_range(first: u32, last: u32, flags: u32) = open::sys_close_range [full]
    437 openat2(directory: Fd, path: PathAddr, at: Addr, size: usize) = open::sys_openat2 [full]
    438 pidfd_getfd(fd: Fd, target: Fd, flags: u32) = pidfd::sys_pidfd_getfd [full]
    439 faccessat2(directory: Fd, path: PathAddr, mode: u32, flags: u32) = path::sys_faccessat2 [full]
    441 epoll_pwait2(epoll: Fd, events: Addr, count: i32, timeout: Addr, mask: Addr, size: usize) = epoll::sys_epoll_pwait2 [full]
    449 futex_waitv(waiters: Addr, count: usize, flags: u32, timeout: Addr, clock: i32) = thread::sys_futex_waitv [full]
    452 fchmodat2(dirfd: Fd, path: PathAddr, mode: u32, flags: u32) = attributes::sys_fchmodat2 [full]
}
