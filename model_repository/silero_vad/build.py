"""Build the `model.pt` that is served from the published `silero_vad.jit`.

The published module keeps its recurrent state in attributes, so two requests at a time would mix their audio, and it
takes the sample rate as a Python integer, which Triton's PyTorch backend cannot pass. Inside it is a network that has
neither: it takes a window and a state and returns a probability and the next state. This wraps that network so that
the state lives in one call, and leaves the 8 kHz network out.

Usage: build.py FOLDER OUTPUT, where FOLDER holds silero_vad.jit and OUTPUT is the file to write.
"""

import sys
from pathlib import Path

import torch


class SpeechProbability(torch.nn.Module):
    """Speech probability of each window of 16 kHz audio, with nothing kept between calls."""

    window: torch.jit.Final[int] = 512  # samples: 32 ms

    def __init__(self, network: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.network = network

    def forward(self, AUDIO: torch.Tensor) -> torch.Tensor:  # noqa: N803 - Triton's input has the argument's name
        """Turn [batch, samples] FP32 from -1 to 1 into [batch, ceil(samples / 512)] FP32 from 0 to 1."""
        context = self.window // 8  # samples of the window before it that the network sees too
        windows = (AUDIO.size(1) + self.window - 1) // self.window
        audio = torch.nn.functional.pad(AUDIO, (context, windows * self.window - AUDIO.size(1)))
        state = torch.zeros([0])  # empty means: begin anew
        probabilities = [AUDIO[:, :0]]
        for index in range(windows):
            begin = index * self.window
            probability, state = self.network(audio[:, begin : begin + context + self.window], state)
            probabilities.append(probability)
        return torch.cat(probabilities, 1)


def main() -> None:
    """Write OUTPUT, and check it against the published module first."""
    folder, output = map(Path, sys.argv[1:])
    published = torch.jit.load(str(folder / "silero_vad.jit"), map_location="cpu")
    module = torch.jit.script(SpeechProbability(published._model)).eval()
    audio = torch.sin(torch.arange(16000) ** 1.3 / 40).reshape(2, 8000) * 0.5
    with torch.no_grad():
        expected = published.audio_forward(audio, 16000)
        if not torch.equal(module(audio), expected):
            sys.exit("the wrapped network does not give what silero_vad.jit gives")
    torch.jit.save(module, str(output))


if __name__ == "__main__":
    main()
