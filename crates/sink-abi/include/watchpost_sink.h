/*
 * watchpost_sink.h - the contract between Watchpost and its sink plugins, version 1.
 *
 * A sink plugin is a shared library (an ELF .so) that delivers alerts: it sounds a siren, sends a mail,
 * files the picture. It exports one symbol, and that is data: `const wp_plugin watchpost_sink_v1`.
 * Watchpost loads it in a child process of its own, one process for each [[sink]] of its configuration,
 * so whatever a plugin does wrong, it does to itself only.
 *
 * A whole plugin in C:
 *
 *     #include "watchpost_sink.h"
 *
 *     static int siren;
 *     static int32_t create(const wp_host *host, wp_str config, const wp_call *call, void **self,
 *                           wp_reply *reply) {
 *         (void)host; (void)config; (void)call; (void)reply;
 *         *self = &siren;
 *         return WP_OK;
 *     }
 *     static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
 *         (void)self; (void)call;
 *         if (alert->severity < WP_HIGH) return WP_OK;
 *         if (sound_the_siren() != 0) return wp_fail(reply, WP_RETRY, "the siren does not answer");
 *         return WP_OK;
 *     }
 *     static void destroy(void *self) { (void)self; }
 *
 *     WP_EXPORT const wp_plugin watchpost_sink_v1 = {
 *         .magic = WP_MAGIC, .struct_size = sizeof(wp_plugin),
 *         .abi_major = WP_ABI_MAJOR, .abi_minor = WP_ABI_MINOR,
 *         .id = "siren", .name = "Siren", .version = "1.0.0", .summary = "Sounds the siren on the roof.",
 *         .create = create, .deliver = deliver, .destroy = destroy,
 *     };
 *
 *     cc -std=c11 -shared -fPIC -o libwatchpost_siren.so siren.c
 *
 * OWNERSHIP. Nothing changes owner. Every pointer that is passed as an argument is borrowed for that call:
 * copy what you keep. The one exception is the wp_host given to `create`, which lives until `destroy`
 * returns. Text goes out through the callbacks (`note`, `log`), which copy it before they return. What
 * wp_plugin points to must be static.
 *
 * THREADS. `describe` and `validate` may be called at any time before `create`. From `create` to `destroy`
 * all calls come from one OS thread, one at a time. Only `cancel` may overlap, and it comes from another
 * thread. A plugin may start threads of its own; on them it may use `log`, `cancelled` and the host's
 * `extension`, until `destroy` returns. A wp_reply belongs to the thread that was called.
 *
 * FAILURE. A function answers with one of the WP_* outcomes and may explain itself with `note`. An
 * exception, panic or longjmp must not leave the plugin. A crash, an exit() or a missed deadline counts as
 * WP_RETRY for every delivery that was not yet done, and the plugin is restarted.
 *
 * DELIVERY IS AT LEAST ONCE. The same alert can come again, with the same `id`, after a failure or after a
 * power cut. Where it matters that it counts once, remember the id.
 *
 * EVOLUTION. Released fields never move, shrink or change their meaning. Structs grow at the tail only and
 * carry their size; a reader takes min(struct_size, sizeof) bytes and treats the rest as zero. A new minor
 * version only adds. The sets of values that flow to the plugin (severities) never gain members; the set
 * that flows from it (outcomes) may, and an unknown one means WP_RETRY. Large features come as extensions,
 * asked for by a string that ends in a revision: "watchpost.example/1". A host of a later major version
 * still loads plugins of version 1, which it knows by the name of the symbol.
 *
 * C11 or C++17. Licensed MIT OR Apache-2.0.
 */
#ifndef WATCHPOST_SINK_H
#define WATCHPOST_SINK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* First four bytes of every wp_plugin: "WPSK" in memory order of a little-endian machine. */
#define WP_MAGIC 0x4B535057u
/* The version this header describes. */
#define WP_ABI_MAJOR 1
#define WP_ABI_MINOR 0

/* Goes before the one exported symbol, which so stays visible under -fvisibility=hidden. */
#if defined(__GNUC__) || defined(__clang__)
#define WP_EXPORT __attribute__((visibility("default")))
#else
#define WP_EXPORT
#endif

/* ---- Values ------------------------------------------------------------------------------------- */

/* How a call ended. Travels as int32_t. */
enum {
    WP_OK = 0,          /* Done. For `deliver` with a `flush`: done once the next `flush` returns WP_OK. */
    WP_RETRY = 1,       /* Not now; try again, no earlier than reply->retry_after_ms. */
    WP_PERMANENT = 2,   /* Never, for this alert. The next one may work. */
    WP_BAD_CONFIG = 3,  /* The configuration is wrong; say where with note("/json/pointer", ...). */
    WP_FATAL = 4,       /* This instance is unusable; destroy it and create another. */
    WP_UNSUPPORTED = 5  /* This plugin does not do that. */
};

/* How much an alert matters. A closed set: no version will add to it. */
enum { WP_LOW = 1, WP_MEDIUM = 2, WP_HIGH = 3, WP_CRITICAL = 4 };

/* Levels for wp_host.log. */
enum { WP_LOG_ERROR = 1, WP_LOG_WARN = 2, WP_LOG_INFO = 3, WP_LOG_DEBUG = 4 };

/* ---- Structs ------------------------------------------------------------------------------------ */

/* Text: UTF-8, not terminated by zero. `ptr` is NULL only if `len` is 0. Frozen: never grows. */
typedef struct wp_str {
    const char *ptr;
    size_t len;
} wp_str;

/* Where a call puts its explanation. Made by the host, zeroed, valid for the call. */
typedef struct wp_reply {
    uint32_t struct_size;
    uint32_t flags;          /* None defined: leave it. */
    uint64_t retry_after_ms; /* Set with WP_RETRY when you know it; 0 leaves it to the host. */
    void *priv;              /* The host's. */
    /* Adds a sentence for the operator. `where` is empty, or a JSON pointer into the configuration
     * ("/servers/0/port"). May be called several times. Copies both texts. Never NULL. */
    void (*note)(struct wp_reply *reply, wp_str where, wp_str text);
} wp_reply;

/* About one call. */
typedef struct wp_call {
    uint32_t struct_size;
    uint32_t attempt;     /* 1 for the first attempt at this alert, counting on; 0 outside `deliver`. */
    uint64_t call_id;     /* Unique within the process; what `cancel` and `cancelled` speak of. */
    uint64_t deadline_ns; /* CLOCK_MONOTONIC, when `cancel` will come; 0: never. */
} wp_call;

/* One picture. Reached through wp_alert.frame_stride, for it may grow. */
typedef struct wp_frame {
    wp_str mime;         /* "image/jpeg" */
    wp_str name;         /* A file name without directory, "frame.jpg" */
    const uint8_t *data; /* `len` bytes, read-only memory: a write is a crash. */
    size_t len;
    uint32_t width;      /* Pixels; 0 when not known. */
    uint32_t height;     /* Pixels; 0 when not known. */
} wp_frame;

/* One alert.
 *
 * THE DOCUMENT. `json` is a JSON object. Keys are only ever added, and so are kinds: readers ignore what they do
 * not know. Times are text, "2026-11-23T01:16:30.250Z", ids of alerts are numbers. In every document:
 *   kind         "anomaly": a camera's AI judged a person's behaviour abnormal; "owl_eye": the night watch saw a
 *                person; "notice": a message that proves nothing; "hub": the hub speaks of itself; "digest": the
 *                sum of alerts that were held, made for this sink; "drill": an exercise; "panic": a person needs help;
 *                "tamper": a camera or a part of the alarm system was opened, turned away or cut off; "escalation": an
 *                alert that no one has acknowledged
 *   id, connection, received_at, severity, title, text
 *   via          "live", "list" (fetched from the backend's list afterwards) or "inbound" (posted to the hub)
 *   details      {status, classification, confidence, score, bbox}, of which only `status` is always there
 *   picture      {"jpeg": {bytes, width, height}}, {"pending": {from}} while it is fetched, {"missing": why}
 * Where it is known or so:
 *   site, source_id, camera {id, name, area}, occurred_at
 *   late         true if it was received long after it happened
 *   also_over    names of further connections over which the same alert came
 *   digest       {count, from, to, ids, worst, sink, cause}: how many alerts, when the first and the last happened, which
 *                (the newest 100, or 20 of a group), the one that matters most, whose picture the digest has, and why they
 *                are one message: cause.code is "late", or "group" with the route and what the group has in common
 *   area         {name, to, to_all, alarm}: the area that an event of the hub is about; the sinks that get it whatever routes
 *                say, whether all that make no noise do, and whether it reports an alarm
 *   about        {connection, camera, area, sink, expect}: the names of what an internal event is about
 *   panic        {areas, silent, by, why}: the names of the areas, or none for the whole site; whether no siren is to
 *                sound; who has raised it, and what was said
 *   escalation   {policy, alert, count, step, to}: the policy, the alert that is to be acknowledged, and how many there are
 *                of its group; `step` {number, sending, round, route, group, of, status} of a message of the policy, with
 *                the kind of the alert in `of`; `to` of an event that says how it has ended: the sinks that had the alert
 *   visionguard  {person_id, anomaly_id, shop_id, location, frame_number, start_frame, pose}: frame_number is the
 *                video frame shown, start_frame the first one of the sequence that was judged
 */
typedef struct wp_alert {
    uint32_t struct_size;
    uint32_t severity;      /* WP_LOW ... WP_CRITICAL */
    uint64_t unix_ms;       /* When it happened, as far as is known: milliseconds since 1970-01-01 UTC. */
    wp_str id;              /* The same on every retry; letters, digits, '-', '_' only. */
    wp_str title;           /* One line. */
    wp_str text;            /* A sentence or more, for a reader who has only this. */
    wp_str json;            /* The whole alert as a JSON object: see THE DOCUMENT. */
    const wp_frame *frames; /* NULL if there is none; use wp_frame_at. */
    size_t frame_count;
    size_t frame_stride;    /* Bytes from one frame to the next: the host's sizeof(wp_frame). */
    intptr_t utc_offset_s;  /* Seconds that the clocks at the site are ahead of UTC at `unix_ms`, for people. */
} wp_alert;

/* What the plugin may ask of its host. Lives from `create` until `destroy` returns. */
typedef struct wp_host {
    uint32_t struct_size;
    uint16_t abi_major; /* The host's version, which may be later than this header's. */
    uint16_t abi_minor;
    void *priv;         /* The host's. */
    wp_str hub_version; /* "1.4.2" */
    wp_str instance;    /* The name of the [[sink]] this instance is for. */
    wp_str state_dir;   /* An existing directory which this instance alone may write to. */
    /* Writes a line to Watchpost's log under this sink's name. Any thread. Floods are thinned out. */
    void (*log)(const struct wp_host *host, int32_t level, wp_str line);
    /* 1 when that call is cancelled and should return now, else 0. Any thread. */
    int32_t (*cancelled)(const struct wp_host *host, uint64_t call_id);
    /* An extension by name, or NULL. What it points to lives as long as the host. Any thread. */
    const void *(*extension)(const struct wp_host *host, const char *id);
} wp_host;

/* The host's extension of this name: a person has acknowledged an alert at the sink, for instance by a button.
 * NULL unless the site grants it: `[sink.sandbox] acknowledge = true`. */
#define WP_ACKNOWLEDGE "watchpost.acknowledge/1"
typedef struct wp_acknowledge {
    uint32_t struct_size;
    uint32_t reserved; /* 0 */
    /* Acknowledges the alert of this call, which has to be in flight, and returns. The first time counts; for any
     * other call nothing happens. Any thread. */
    void (*acknowledge)(const struct wp_host *host, uint64_t call_id);
} wp_acknowledge;

/* ---- Arming ------------------------------------------------------------------------------------- */

/* The host's extension of this name: people arm and disarm areas at the sink, for instance at a key pad or with a key switch,
 * and it may show how they are armed. NULL unless the site grants it: `[sink.sandbox] arm = true`. What it may do without a code
 * is the site's to say as well; the host checks codes, and counts wrong ones. */
#define WP_ARM "watchpost.arm/1"

/* What is asked for. */
enum { WP_ARM_HOME = 1, WP_ARM_AWAY = 2, WP_ARM_NIGHT = 3, WP_DISARM = 4, WP_PANIC = 5 };

/* Flags of wp_arm_request: arm also what is not ready, and bypass what keeps it from that; a panic for which no siren sounds. */
enum { WP_ARM_FORCE = 1, WP_PANIC_SILENT = 2 };

/* What came of it. Travels as int32_t. A set that may grow: treat what you do not know as WP_ARM_REFUSED. */
enum {
    WP_ARM_DONE = 0,        /* It is so, or will be when the exit delay is over: `areas` shows it. */
    WP_ARM_NOTED = 1,       /* What sounds is stopped. The rest follows when the hub can write to its disk. */
    WP_ARM_NOT_READY = 2,   /* Something keeps an area from being armed. */
    WP_ARM_NEEDS_CODE = 3,  /* It takes a code, and none was given. */
    WP_ARM_WRONG_CODE = 4,  /* The code is no one's. */
    WP_ARM_LOCKED = 5,      /* Too many codes were wrong: none is taken for a while. */
    WP_ARM_REFUSED = 6      /* It is not done for another reason. */
};

/* Something that a person wants. */
typedef struct wp_arm_request {
    uint32_t struct_size;
    uint32_t act;      /* WP_ARM_HOME ... WP_PANIC */
    uint32_t flags;    /* WP_ARM_FORCE, WP_PANIC_SILENT, or 0 */
    uint32_t reserved; /* 0 */
    wp_str area;       /* Name of an area; empty: all, of which only those of the mode are armed. At most 256 bytes. */
    wp_str code;       /* What the person has typed; empty: none. A panic takes none. At most 64 bytes. */
} wp_arm_request;

/* What the plugin gets to know. Both functions are called from a thread of the host's, one at a time, may overlap any call of the
 * plugin, and have to return at once: nothing else is heard of the hub meanwhile. They must not call `listen`. Texts are valid for
 * the call. */
typedef struct wp_arm_listener {
    uint32_t struct_size;
    uint32_t reserved; /* 0 */
    void *priv;        /* The plugin's, passed back. */
    /* How the areas are armed, whenever that changes and once after `listen`. `json` is
     *   {"areas": [{"name", "modes": ["home", ...], "state", "since", ...}]}
     * in the order of the configuration, with as `state` "disarmed", "arming", "armed", "pending" or "triggered"; `mode` unless it is
     * disarmed; `from`, the mode in which it is armed while it is arming for another one; `until`, when the state ends by itself; `by`,
     * who has armed or disarmed it last; `cause`, the camera that has seen something, while it is pending or triggered. Keys are
     * only ever added. */
    void (*areas)(void *priv, wp_str json);
    /* What came of what was asked for under this number, and why, in a sentence that may be empty. It may come before `ask` has
     * returned that number. */
    void (*answer)(void *priv, uint64_t ticket, int32_t outcome, wp_str text);
} wp_arm_listener;

typedef struct wp_arm {
    uint32_t struct_size;
    uint32_t reserved; /* 0 */
    /* Asks for something, and returns the number of the answer. 0: it is not passed on, as the plugin is still being created, eight
     * are not answered yet, there were more than ten at once or more than one a second since, or the request is no good. Any thread. */
    uint64_t (*ask)(const wp_host *host, const wp_arm_request *request);
    /* Who is informed from now on, which is copied; NULL: no one. Returns when the one before is called no more. Any thread. */
    void (*listen)(const wp_host *host, const wp_arm_listener *listener);
} wp_arm;

/* The plugin: what it is and what it can do. Static, never written to. */
typedef struct wp_plugin {
    uint32_t magic;          /* WP_MAGIC */
    uint32_t struct_size;    /* sizeof(wp_plugin) */
    uint16_t abi_major;      /* WP_ABI_MAJOR */
    uint16_t abi_minor;      /* WP_ABI_MINOR */
    uint16_t min_host_minor; /* The least minor version of the host that this plugin needs; mostly 0. */
    uint16_t reserved;       /* 0 */
    uint64_t caps;           /* Capability bits. None defined: 0. */
    const char *id;          /* "siren" as in libwatchpost_siren.so: a-z, 0-9, "_", "-" (in the file "_") */
    const char *name;        /* "Siren": for a person. */
    const char *version;     /* "1.0.0": of the plugin. */
    const char *summary;     /* One sentence: what it does. May be NULL. */
    const char *sdk;         /* What it was made with, "watchpost-sink 0.1.0". May be NULL. */

    /* Describes the configuration: one note with an empty `where` and as text the JSON object
     *   { "schema":  <JSON Schema of the configuration>,
     *     "example": <a configuration that works>,
     *     "needs":   { "read": [paths], "write": [paths], "connect": ["host:port"], "devices": [paths],
     *                  "exec": [paths], "unix_sockets": [paths], "acknowledge": [keys], "arm": [keys] } }
     * of which every key may be missing. `needs` is shown to the operator and grants nothing. Optional. */
    int32_t (*describe)(wp_reply *reply);

    /* Checks a configuration (a JSON object). It may read files that the configuration names, and touches
     * nothing else. WP_OK, or WP_BAD_CONFIG with a note for each fault. Optional. */
    int32_t (*validate)(wp_str config, wp_reply *reply);

    /* Makes an instance and puts it into *self, which may stay NULL. On any outcome but WP_OK there is no
     * instance and no `destroy`. WP_RETRY: the world is not ready, try again later. */
    int32_t (*create)(const wp_host *host, wp_str config, const wp_call *call, void **self,
                      wp_reply *reply);

    /* Delivers one alert. */
    int32_t (*deliver)(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply);

    /* Group commit, optional. The host passes a run of alerts to `deliver` (one when idle, up to 64 or
     * 20 ms under load) and then calls this once. The run counts as done when it returns WP_OK; any other
     * outcome goes to every alert of the run whose `deliver` returned WP_OK since the flush before.
     * WP_PERMANENT dead-letters all of them: WP_RETRY is nearly always the right answer. */
    int32_t (*flush)(void *self, const wp_call *call, wp_reply *reply);

    /* Tries whether a delivery would work, without making one: reach the server, find the device. Optional. */
    int32_t (*probe)(void *self, const wp_call *call, wp_reply *reply);

    /* Asks a call that is in flight to return soon. Comes from another thread and may overlap that call,
     * or come just before or just after it: remember `call_id`, not that it came. At a deadline this comes
     * first; two seconds later the process is killed. Optional: polling wp_host.cancelled serves as well. */
    void (*cancel)(void *self, uint64_t call_id);

    /* Ends the instance. No call comes after it. */
    void (*destroy)(void *self);

    /* An extension by name, or NULL. Optional. */
    const void *(*extension)(const char *id);
} wp_plugin;

/* The one symbol a plugin exports. */
extern WP_EXPORT const wp_plugin watchpost_sink_v1;

/* ---- Helpers, compiled into the plugin ---------------------------------------------------------- */

/* A zero-terminated text as wp_str. */
static inline wp_str wp_text(const char *text) {
    wp_str s;
    s.ptr = text;
    s.len = 0;
    while (text != NULL && text[s.len] != '\0') s.len++;
    return s;
}

/* Explains and returns the outcome: return wp_fail(reply, WP_RETRY, "the server is away"); */
static inline int32_t wp_fail(wp_reply *reply, int32_t outcome, const char *why) {
    reply->note(reply, wp_text(""), wp_text(why));
    return outcome;
}

/* Frame number `index`, or NULL past the last. */
static inline const wp_frame *wp_frame_at(const wp_alert *alert, size_t index) {
    const char *first = (const char *)(const void *)alert->frames;
    if (first == NULL || index >= alert->frame_count) return NULL;
    return (const wp_frame *)(const void *)(first + index * alert->frame_stride);
}

/* Writes a line to Watchpost's log. */
static inline void wp_log(const wp_host *host, int32_t level, const char *line) {
    host->log(host, level, wp_text(line));
}

/* ---- The layout, held by the compiler ----------------------------------------------------------- */

#ifdef __cplusplus
#define WP_ASSERT_(cond) static_assert(cond, #cond)
#else
#define WP_ASSERT_(cond) _Static_assert(cond, #cond)
#endif
/* `a` bytes of fixed fields and `p` pointers or size_t before it. No struct has padding, inside or at the
 * tail, on 32 and on 64 bit machines. */
#define WP_AT_(type, field, a, p) WP_ASSERT_(offsetof(type, field) == (a) + (p) * sizeof(void *))
#define WP_SIZE_(type, a, p) WP_ASSERT_(sizeof(type) == (a) + (p) * sizeof(void *))

WP_ASSERT_(sizeof(void *) == 8 || sizeof(void *) == 4);
WP_ASSERT_(sizeof(size_t) == sizeof(void *));
WP_ASSERT_(sizeof(void (*)(void)) == sizeof(void *));

WP_SIZE_(wp_str, 0, 2);
WP_AT_(wp_str, len, 0, 1);

WP_SIZE_(wp_reply, 16, 2);
WP_AT_(wp_reply, retry_after_ms, 8, 0);
WP_AT_(wp_reply, note, 16, 1);

WP_SIZE_(wp_call, 24, 0);
WP_AT_(wp_call, call_id, 8, 0);
WP_AT_(wp_call, deadline_ns, 16, 0);

WP_SIZE_(wp_frame, 8, 6);
WP_AT_(wp_frame, data, 0, 4);
WP_AT_(wp_frame, width, 0, 6);
WP_AT_(wp_frame, height, 4, 6);

WP_SIZE_(wp_alert, 16, 12);
WP_AT_(wp_alert, unix_ms, 8, 0);
WP_AT_(wp_alert, json, 16, 6);
WP_AT_(wp_alert, frames, 16, 8);
WP_AT_(wp_alert, utc_offset_s, 16, 11);

WP_SIZE_(wp_host, 8, 10);
WP_AT_(wp_host, abi_major, 4, 0);
WP_AT_(wp_host, state_dir, 8, 5);
WP_AT_(wp_host, log, 8, 7);
WP_AT_(wp_host, extension, 8, 9);

WP_SIZE_(wp_plugin, 24, 14);
WP_AT_(wp_acknowledge, acknowledge, 8, 0);

WP_SIZE_(wp_arm_request, 16, 4);
WP_AT_(wp_arm_request, code, 16, 2);
WP_SIZE_(wp_arm_listener, 8, 3);
WP_AT_(wp_arm_listener, answer, 8, 2);
WP_SIZE_(wp_arm, 8, 2);
WP_AT_(wp_arm, listen, 8, 1);

WP_AT_(wp_plugin, caps, 16, 0);
WP_AT_(wp_plugin, id, 24, 0);
WP_AT_(wp_plugin, describe, 24, 5);
WP_AT_(wp_plugin, deliver, 24, 8);
WP_AT_(wp_plugin, destroy, 24, 12);
WP_AT_(wp_plugin, extension, 24, 13);

#undef WP_AT_
#undef WP_SIZE_
#undef WP_ASSERT_

#ifdef __cplusplus
}
#endif

#endif
