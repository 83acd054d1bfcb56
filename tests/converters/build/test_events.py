from converters.build.events import Event, StepProgress


def test_stages_and_steps_are_told_as_events() -> None:
    told = list[Event]()
    progress = StepProgress(told.append, "m", "int8")
    progress.stage("calibrating", 8)
    progress.step(3)
    progress.stage("writing")
    assert told == [
        Event("m", "works", "int8", "calibrating", 0, 8),
        Event("m", "works", "int8", "calibrating", 3, 8),
        Event("m", "works", "int8", "writing", 0, 0),
    ]
