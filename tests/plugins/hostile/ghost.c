/*
 * ghost: starts a process that leaves its group and session, and whose first thread ends before another one does: to the
 * kernel it looks like one that is dead and waits to be reaped. Its number stands in the file `ghost` of the state_dir.
 *
 * The hub must: kill it when the plugin is gone.
 */
#include "hostile.h"

#include <pthread.h>
#include <sys/syscall.h>

#define LIFE_SECONDS 600

static char number_file[1024];

static int32_t create(const wp_host *host, wp_str config, const wp_call *call, void **self, wp_reply *reply) {
    snprintf(number_file, sizeof number_file, "%.*s/ghost", (int)host->state_dir.len, host->state_dir.ptr);
    return hostile_create(host, config, call, self, reply);
}

static void *live_on(void *unused) {
    for (int i = 0; i < LIFE_SECONDS; i++) sleep(1);
    _exit(0);
    return unused;
}

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call;
    pid_t pid = fork();
    if (pid < 0) return hostile_fail(reply, WP_RETRY, "cannot start a process");
    if (pid == 0) {
        pthread_t thread;
        setsid();
        if (pthread_create(&thread, NULL, live_on, NULL) != 0) _exit(1);
        syscall(SYS_exit, 0);
    }
    FILE *file = fopen(number_file, "we");
    if (file == NULL) return hostile_fail(reply, WP_RETRY, "its number");
    fprintf(file, "%d", (int)pid);
    fclose(file);
    return WP_OK;
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("ghost", "Starts a process that looks dead."),
    .create = create, .deliver = deliver, .destroy = hostile_destroy,
};
