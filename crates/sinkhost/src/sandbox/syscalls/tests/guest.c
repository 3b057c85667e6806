/* The first process of a virtual machine. It makes each call of cases.h behind the filter that belongs to it, and says in
   one line what it was answered: the case, and an error's number, or `done`. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

struct program {
    const struct sock_filter *steps;
    unsigned short length;
};
struct call {
    int program;
    long number;
    unsigned long arguments[6];
};
#include "cases.h"

enum { COUNT = sizeof calls / sizeof *calls };

struct said {
    unsigned at;
    int answer;
};

/* Makes calls from this one on, as many as have the same filter, and says what each was answered. */
static void make_calls(unsigned at, int out)
{
    const struct program *program = &programs[calls[at].program];
    struct sock_fprog filter = {program->length, (struct sock_filter *)program->steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter))
        _exit(1);
    for (; at < COUNT && &programs[calls[at].program] == program; at++) {
        const unsigned long *a = calls[at].arguments;
        struct said said = {at, 0};
        errno = 0;
        if (syscall(calls[at].number, a[0], a[1], a[2], a[3], a[4], a[5]) == -1)
            said.answer = errno;
        if (write(out, &said, sizeof said) < 0 || calls[at].number == SYS_clone)
            break;
    }
    _exit(0);
}

int main(void)
{
    struct utsname machine;
    uname(&machine);
    printf("machine %s %s\n", machine.machine, machine.release);
    for (unsigned at = 0; at < COUNT;) {
        int ends[2], status = 0;
        if (pipe(ends))
            return 1;
        pid_t child = fork();
        if (child == 0)
            make_calls(at, ends[1]);
        close(ends[1]);
        struct said said;
        struct pollfd come = {ends[0], POLLIN, 0};
        unsigned first = at;
        while (poll(&come, 1, 3000) == 1 && read(ends[0], &said, sizeof said) == sizeof said && said.at == at) {
            if (said.answer)
                printf("call %u %d\n", at++, said.answer);
            else
                printf("call %u done\n", at++);
            if (calls[at - 1].number == SYS_clone)
                break;
        }
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        close(ends[0]);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
            return 1;
        /* What waits or ends its process was let through, unless it is the filter that ended it. */
        int is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
        int has_ended = at == COUNT || calls[at].program != calls[first].program ||
                        (at > first && calls[at - 1].number == SYS_clone);
        if (!has_ended)
            printf("call %u %s\n", at, is_killed ? "killed" : "done"), at++;
    }
    printf("that was all\n");
    fflush(stdout);
    pause();
}
