// Keys that C libraries and language runtimes look up in the system-wide files.
#include "show.h"

static bool has(const char *path, const char *key) {
    FILE *f = fopen(path, "r");
    if (!f) return false;
    char line[4096];
    bool found = false;
    while (!found && fgets(line, sizeof line, f)) found = !strncmp(line, key, strlen(key));
    fclose(f);
    return found;
}

int main(void) {
    SHOW_TRUE(has("/proc/meminfo", "MemTotal:"));
    SHOW_TRUE(has("/proc/meminfo", "MemFree:"));
    SHOW_TRUE(has("/proc/meminfo", "MemAvailable:"));
    SHOW_TRUE(has("/proc/meminfo", "SwapTotal:"));
    SHOW_TRUE(has("/proc/cpuinfo", "processor"));
    SHOW_TRUE(has("/proc/cpuinfo", "flags"));
    SHOW_TRUE(has("/proc/cpuinfo", "model name"));
    SHOW_TRUE(has("/proc/stat", "cpu "));
    SHOW_TRUE(has("/proc/stat", "btime "));
    SHOW_TRUE(has("/proc/version", "Linux version"));
    SHOW_TRUE(has("/proc/filesystems", "nodev\tproc") || has("/proc/filesystems", "nodev\ttmpfs"));
    SHOW_TRUE(has("/proc/self/mountinfo", ""));
    SHOW_TRUE(has("/proc/mounts", ""));
    SHOW_TRUE(has("/proc/self/limits", "Max open files"));
    SHOW_TRUE(has("/proc/uptime", ""));
    SHOW_TRUE(has("/proc/loadavg", ""));
    SHOW_TRUE(has("/proc/sys/kernel/ostype", "Linux"));
    SHOW_TRUE(has("/proc/sys/vm/overcommit_memory", ""));
    SHOW_TRUE(has("/sys/devices/system/cpu/online", "0"));
    SHOW_TRUE(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
    SHOW_TRUE(sysconf(_SC_NPROCESSORS_CONF) >= 1);
    return 0;
}
