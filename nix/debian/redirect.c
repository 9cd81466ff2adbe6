/* Preloaded into programs that have a path compiled in and no way to be told another.
 *
 * REDIRECT is "FROM=TO:FROM=TO..."; a path that is FROM, or lies below it, is looked for
 * below TO instead. Only calls that look at files are covered; nothing that writes is. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST 32
static struct { const char *from, *to; size_t length; } moves[MOST];
static int count;

__attribute__((constructor)) static void read_moves(void) {
  const char *environment = getenv("REDIRECT");
  char *rest = environment ? strdup(environment) : NULL, *move;
  while (count < MOST && (move = strsep(&rest, ":"))) {
    char *equals = strchr(move, '=');
    if (!equals) continue;
    *equals = 0;
    moves[count].from = move;
    moves[count].to = equals + 1;
    moves[count++].length = equals - move;
  }
}

/* The path to use; `buffer` holds it where it is another. */
static const char *moved(const char *path, char *buffer) {
  if (path && path[0] == '/')
    for (int i = 0; i < count; i++) {
      size_t length = moves[i].length;
      if (!strncmp(path, moves[i].from, length) && (path[length] == '/' || !path[length]) &&
          snprintf(buffer, PATH_MAX, "%s%s", moves[i].to, path + length) < PATH_MAX)
        return buffer;
    }
  return path;
}

/* Defines NAME with the C library's signature, handing on to the next definition of it. */
#define CALL(result, name, parameters, path, ...)                              \
  result name parameters {                                                     \
    static result(*next) parameters;                                           \
    char buffer[PATH_MAX];                                                     \
    if (!next) next = (result(*) parameters)dlsym(RTLD_NEXT, #name);           \
    const char *place = moved(path, buffer);                                   \
    return next(__VA_ARGS__);                                                  \
  }

/* The same for calls whose last argument is there only when a file may be created. */
#define OPEN(name, parameters, path, ...)                                      \
  int name parameters {                                                        \
    static int(*next) parameters;                                              \
    char buffer[PATH_MAX];                                                     \
    mode_t mode = 0;                                                           \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                     \
      va_list rest;                                                            \
      va_start(rest, flags);                                                   \
      mode = va_arg(rest, mode_t);                                             \
      va_end(rest);                                                            \
    }                                                                          \
    if (!next) next = (int(*) parameters)dlsym(RTLD_NEXT, #name);              \
    const char *place = moved(path, buffer);                                   \
    return next(__VA_ARGS__, mode);                                            \
  }

OPEN(open, (const char *path, int flags, ...), path, place, flags)
OPEN(open64, (const char *path, int flags, ...), path, place, flags)
OPEN(openat, (int base, const char *path, int flags, ...), path, base, place, flags)
OPEN(openat64, (int base, const char *path, int flags, ...), path, base, place, flags)

CALL(FILE *, fopen, (const char *restrict path, const char *restrict mode), path, place, mode)
CALL(FILE *, fopen64, (const char *restrict path, const char *restrict mode), path, place, mode)
CALL(DIR *, opendir, (const char *path), path, place)
CALL(int, access, (const char *path, int mode), path, place, mode)
CALL(int, faccessat, (int base, const char *path, int mode, int flags), path, base, place, mode, flags)
CALL(int, stat, (const char *restrict path, struct stat *restrict to), path, place, to)
CALL(int, stat64, (const char *restrict path, struct stat64 *restrict to), path, place, to)
CALL(int, lstat, (const char *restrict path, struct stat *restrict to), path, place, to)
CALL(int, lstat64, (const char *restrict path, struct stat64 *restrict to), path, place, to)
CALL(int, fstatat, (int base, const char *restrict path, struct stat *restrict to, int flags), path,
     base, place, to, flags)
CALL(int, fstatat64, (int base, const char *restrict path, struct stat64 *restrict to, int flags),
     path, base, place, to, flags)
CALL(int, __xstat, (int version, const char *path, struct stat *to), path, version, place, to)
CALL(int, __lxstat, (int version, const char *path, struct stat *to), path, version, place, to)
CALL(int, statx,
     (int base, const char *restrict path, int flags, unsigned mask, struct statx *restrict to), path,
     base, place, flags, mask, to)
CALL(ssize_t, readlink, (const char *restrict path, char *restrict to, size_t size), path, place, to,
     size)
CALL(char *, realpath, (const char *restrict path, char *restrict to), path, place, to)
CALL(int, chdir, (const char *path), path, place)
CALL(int, execv, (const char *path, char *const words[]), path, place, words)
CALL(int, execve, (const char *path, char *const words[], char *const environment[]), path, place,
     words, environment)
CALL(void *, dlopen, (const char *path, int mode), path, place, mode)
