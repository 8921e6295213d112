/* A slow disk for one process: preloaded into the daemon, it delays or blocks calls on files.
 *
 * The file /opt/atlaskv-test/faults, read at every call, has lines "CALL NAME DELAY": CALL is read, write or
 * sync, NAME a part of the file's path, DELAY milliseconds before each call, or "hang": until the line goes. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static const char FAULTS[] = "/opt/atlaskv-test/faults";

/* The delay in force for this call on this path: milliseconds, 0 for none, -1 to hang. */
static int delay_of(const char *call, const char *path)
{
    char text[1024];
    int file = open(FAULTS, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0)
        return 0;
    text[length] = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char which[16], name[64], delay[16];
        if (sscanf(line, "%15s %63s %15s", which, name, delay) != 3)
            continue;
        if (strcmp(which, call) == 0 && strstr(path, name))
            return strcmp(delay, "hang") == 0 ? -1 : atoi(delay);
    }
    return 0;
}

static void pause_ms(int ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static void fault(const char *call, int descriptor)
{
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return;
    path[length] = 0;
    int delay = delay_of(call, path);
    if (delay > 0)
        pause_ms(delay);
    while (delay < 0) {
        pause_ms(10);
        delay = delay_of(call, path);
    }
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pread64(int descriptor, void *buffer, size_t length, off64_t offset)
{
    fault("read", descriptor);
    return REAL(pread64)(descriptor, buffer, length, offset);
}

ssize_t pwrite64(int descriptor, const void *buffer, size_t length, off64_t offset)
{
    fault("write", descriptor);
    return REAL(pwrite64)(descriptor, buffer, length, offset);
}

int fdatasync(int descriptor)
{
    fault("sync", descriptor);
    return REAL(fdatasync)(descriptor);
}

int fsync(int descriptor)
{
    fault("sync", descriptor);
    return REAL(fsync)(descriptor);
}
