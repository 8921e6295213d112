/* A disk that fails for one process: preloaded into the daemon, it lets calls on files fail.
 *
 * The file named by ATLASKV_FAULTS, read at every call, has one line "CALL ENDING HOW": CALL is sync or write,
 * ENDING the end of the file's path, HOW "once", "always" or, for a write, "short". The file named by
 * ATLASKV_CALLS gets a line "CALL PATH HOW" for each sync and for each call that fails. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum how { WELL, FAIL, SHORT };
static const char *const NAMES[] = {"well", "failed", "short"};
static atomic_int spent;

static void note(const char *call, const char *path, enum how how)
{
    const char *log = getenv("ATLASKV_CALLS");
    char line[700];
    int file = log ? open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file < 0)
        return;
    int length = snprintf(line, sizeof line, "%s %s %s\n", call, path, NAMES[how]);
    if (write(file, line, length) != length)
        abort();
    close(file);
}

static enum how fault(const char *call, int descriptor)
{
    char link[64], path[512], text[256], which[16], ending[64], how[16];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return WELL;
    path[length] = 0;
    enum how outcome = WELL;
    const char *faults = getenv("ATLASKV_FAULTS");
    int file = faults ? open(faults, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t read_bytes = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    if (read_bytes > 0) {
        text[read_bytes] = 0;
        if (sscanf(text, "%15s %63s %15s", which, ending, how) == 3 && strcmp(which, call) == 0) {
            size_t end = strlen(ending);
            int matches = end <= (size_t)length && strcmp(path + length - end, ending) == 0;
            if (matches && (strcmp(how, "always") == 0 || atomic_fetch_add(&spent, 1) == 0))
                outcome = strcmp(how, "short") == 0 ? SHORT : FAIL;
        }
    }
    if (strcmp(call, "sync") == 0 || outcome != WELL)
        note(call, path, outcome);
    return outcome;
}

ssize_t pwrite64(int descriptor, const void *buffer, size_t length, off64_t offset)
{
    enum how outcome = fault("write", descriptor);
    if (outcome == FAIL) {
        errno = EIO;
        return -1;
    }
    return REAL(pwrite64)(descriptor, buffer, outcome == SHORT ? (length + 1) / 2 : length, offset);
}

int fdatasync(int descriptor)
{
    if (fault("sync", descriptor) == WELL)
        return REAL(fdatasync)(descriptor);
    errno = EIO;
    return -1;
}

int fsync(int descriptor)
{
    if (fault("sync", descriptor) == WELL)
        return REAL(fsync)(descriptor);
    errno = EIO;
    return -1;
}
