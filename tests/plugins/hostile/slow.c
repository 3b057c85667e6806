/*
 * slow: takes the configured time for each alert, {"ms": "200"} (200 if none is said), and gives up when asked
 * to. It logs "waiting" once it is at it.
 *
 * The hub must: let nobody else wait for it, and let new alerts wait in the store and not in memory.
 */
#include "hostile.h"

/* As long as it waits without asking whether to give up. */
#define STEP_MS 10

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert;
    char text[16];
    long ms = hostile_text("ms", text, sizeof text) ? strtol(text, NULL, 10) : 200;
    wp_log(hostile_host, WP_LOG_INFO, "waiting");
    for (; ms > 0; ms -= STEP_MS) {
        struct timespec step = {.tv_sec = 0, .tv_nsec = STEP_MS * 1000000L};
        nanosleep(&step, NULL);
        if (hostile_host->cancelled(hostile_host, call->call_id)) return wp_fail(reply, WP_RETRY, "asked to give up");
    }
    return WP_OK;
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("slow", "Takes its time."),
    .create = hostile_create, .deliver = deliver, .destroy = hostile_destroy,
};
