/* The floor: as little as isolates a program. New mount, pid, ipc, uts and network namespaces, an
 * overlay with its layer on the disk, pivot_root, exec. Usage: floor LOWER UPPER WORK ROOT PROGRAM */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(int result, const char *what) {
    if (result < 0) {
        perror(what);
        _exit(1);
    }
}

static int inside(void *data) {
    char **argv = data;
    char options[4096];
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", argv[1], argv[2], argv[3]);
    must(mount("", "/", NULL, MS_PRIVATE | MS_REC, NULL), "private");
    must(mount("overlay", argv[4], "overlay", 0, options), "overlay");
    must(chdir(argv[4]), "chdir");
    must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    must(umount2(".", MNT_DETACH), "umount");
    execl(argv[5], argv[5], NULL);
    perror("exec");
    return 127;
}

int main(int argc, char **argv) {
    static char stack[1 << 16];
    if (argc != 6) return 2;
    int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | SIGCHLD;
    int pid = clone(inside, stack + sizeof stack, flags, argv);
    must(pid, "clone");
    int status;
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}
