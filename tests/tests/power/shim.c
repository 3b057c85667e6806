/*
 * A disk that forgets: preloaded into a process, it keeps aside what fsync and fdatasync have made durable.
 *
 * POWER_DIR is the directory that is watched, POWER_SHADOW where the image of the disk is kept:
 *   i/<inode>   the content of that file when it was last synced
 *   d/<path>    the names in that directory when it was last synced, "inode name" a line; % stands for / in the path
 * What was written and not synced is in neither, so the image is what a power cut would leave at the worst. Writes need
 * not be seen for that, only syncs.
 *
 * Where there is a file `fuse` in POWER_SHADOW it gets shorter by a byte before each sync and after it, and when nothing is left
 * of it the process ends: the power fails between two steps of whatever it does.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Path of an open file below POWER_DIR, "" for the directory itself; NULL when it is elsewhere. */
static const char *inside(int fd, char *path) {
    const char *root = getenv("POWER_DIR");
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (root == NULL || length < 0) return NULL;
    path[length] = '\0';
    size_t skip = strlen(root);
    if (strncmp(path, root, skip) != 0 || (path[skip] != '/' && path[skip] != '\0')) return NULL;
    return path[skip] == '/' ? path + skip + 1 : path + skip;
}

/* Opens a file of the image under a name that does not count yet. */
static int begin(const char *kind, const char *name, char *draft, char *final) {
    const char *shadow = getenv("POWER_SHADOW");
    if (shadow == NULL) return -1;
    snprintf(final, PATH_MAX, "%s/%s/%s", shadow, kind, name);
    snprintf(draft, PATH_MAX, "%s/%s/%s.draft", shadow, kind, name);
    return open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static void keep_file(int fd, const struct stat *status) {
    char name[32], draft[PATH_MAX], final[PATH_MAX], link[64];
    static char block[1 << 16];
    snprintf(name, sizeof name, "%llu", (unsigned long long)status->st_ino);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int from = open(link, O_RDONLY | O_CLOEXEC), to = begin("i", name, draft, final);
    if (from < 0 || to < 0) abort();
    if (ftruncate(to, status->st_size) != 0) abort();
    for (off_t at = 0; (at = lseek(from, at, SEEK_DATA)) >= 0;) {
        off_t hole = lseek(from, at, SEEK_HOLE);
        while (at < hole) {
            size_t most = (size_t)(hole - at) < sizeof block ? (size_t)(hole - at) : sizeof block;
            ssize_t length = pread(from, block, most, at);
            if (length <= 0 || pwrite(to, block, (size_t)length, at) != length) abort();
            at += length;
        }
    }
    close(from);
    close(to);
    if (rename(draft, final) != 0) abort();
}

static void keep_names(int fd, const char *relative) {
    char name[PATH_MAX], draft[PATH_MAX], final[PATH_MAX], link[64];
    snprintf(name, sizeof name, "%%%s", relative);
    for (char *at = name; *at; at++)
        if (*at == '/') *at = '%';
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    DIR *dir = opendir(link);
    int to = begin("d", name, draft, final);
    if (dir == NULL || to < 0) abort();
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (entry->d_type == DT_REG || entry->d_type == DT_DIR)
            dprintf(to, "%llu %c %s\n", (unsigned long long)entry->d_ino, entry->d_type == DT_REG ? 'f' : 'd',
                    entry->d_name);
    closedir(dir);
    close(to);
    if (rename(draft, final) != 0) abort();
}

static void keep(int fd) {
    char path[PATH_MAX];
    struct stat status;
    int before = errno;
    const char *relative = inside(fd, path);
    if (relative != NULL && fstat(fd, &status) == 0) {
        if (S_ISDIR(status.st_mode)) keep_names(fd, relative);
        else keep_file(fd, &status);
    }
    errno = before;
}

static void burn(void) {
    char path[PATH_MAX];
    struct stat status;
    const char *shadow = getenv("POWER_SHADOW");
    int before = errno;
    if (shadow != NULL && snprintf(path, sizeof path, "%s/fuse", shadow) > 0 && stat(path, &status) == 0 &&
        (status.st_size == 0 || truncate(path, status.st_size - 1) != 0))
        raise(SIGKILL);
    errno = before;
}

/* The image is there before the process hears that the sync is done. */
static int sync_by(const char *name, int fd) {
    burn();
    keep(fd);
    burn();
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return next(fd);
}

int fsync(int fd) { return sync_by("fsync", fd); }

int fdatasync(int fd) { return sync_by("fdatasync", fd); }
