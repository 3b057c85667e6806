"""Home Assistant itself, at a broker: it finds the panel, arms it with a code, sees it pending and triggered, disarms it, and raises a panic.

Usage: home_assistant.py PORT USER PASSWORD CODE. Prints each state of the panel as a line.
"""

import asyncio
import sys
import tempfile

from homeassistant import bootstrap, runner
from homeassistant.const import EVENT_STATE_CHANGED

PATIENCE = 120


async def main(port, user, password, code):
    config_dir = tempfile.mkdtemp()
    with open(f"{config_dir}/configuration.yaml", "w", encoding="utf-8") as file:
        file.write("alarm_control_panel:\nimage:\nevent:\nbinary_sensor:\n")
    hass = await bootstrap.async_setup_hass(runner.RuntimeConfig(config_dir=config_dir, skip_pip=True))
    assert hass is not None, "it does not start"
    panels = {}
    changed = asyncio.Event()

    def note(event):
        state = event.data["new_state"]
        if state is not None and state.domain == "alarm_control_panel":
            print(state.entity_id, state.state, flush=True)
            panels[state.entity_id] = state
            changed.set()

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    await hass.async_start()
    flow = await hass.config_entries.flow.async_init("mqtt", context={"source": "user"})
    broker = {"broker": "127.0.0.1", "port": int(port), "username": user, "password": password}
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"], broker)
    assert flow["type"] == "create_entry", flow

    async def shown(state):
        async with asyncio.timeout(PATIENCE):
            while not (panel := next((panel for panel in panels.values() if panel.state == state), None)):
                changed.clear()
                await changed.wait()
        return panel

    async def call(service, **data):
        await hass.services.async_call("alarm_control_panel", service, {"entity_id": panel.entity_id} | data, blocking=True)

    panel = await shown("disarmed")
    print("attributes", dict(panel.attributes), flush=True)
    assert panel.attributes["code_format"] == "number", panel.attributes
    try:
        await call("alarm_arm_away")
        raise AssertionError("it was armed without a code")
    except AssertionError:
        raise
    except Exception as refused:  # Home Assistant asks for one.
        print("without a code:", refused, flush=True)
    await call("alarm_arm_away", code=code)
    await shown("armed_away")
    await shown("pending")
    panel = await shown("triggered")
    assert panel.attributes["by"] == "Anna at sink ha", panel.attributes
    await call("alarm_disarm", code=code)
    await shown("disarmed")
    # A panic takes no code.
    await call("alarm_trigger")
    await shown("triggered")
    await call("alarm_disarm", code=code)
    await shown("disarmed")
    print("done", flush=True)
    await hass.async_stop(force=True)


asyncio.run(main(*sys.argv[1:]))
