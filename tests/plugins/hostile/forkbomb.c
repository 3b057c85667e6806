/*
 * forkbomb: starts processes that outlive it.
 *
 * The hub must: refuse them (without `exec` a process cannot be started), or, where they are granted, leave none behind when the
 * plugin is gone.
 */
#include "hostile.h"

/* The brakes: where nothing holds it, so many at each alert, none of which starts others or lives longer. */
#define MOST_PROCESSES 64
#define LIFE_SECONDS 30

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call;
    for (int i = 0; i < MOST_PROCESSES; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            sleep(LIFE_SECONDS);
            _exit(0);
        }
        if (pid < 0) return hostile_fail(reply, WP_RETRY, "cannot start a process");
    }
    return WP_OK;
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("forkbomb", "Starts processes."),
    .create = hostile_create, .deliver = deliver, .destroy = hostile_destroy,
};
