"""Rows in the very forms in which LongVT and VideoZoomer publish their conversations."""

from typing import Any

CROP = '<tool_call>\n{"name": "crop_video", "arguments": {"video_path": "%s", "start_time": %s, "end_time": %s}}'
CROP += "\n</tool_call>"
DONE = "<tool_response>The tool executed successfully.</tool_response>"
ASKED = "Where does the square go?\nA. Left\nB. Right"


def longvt(*said: str, id: str, question: str = ASKED, video: str = "/mnt/theirs/selfqa/clip.mp4") -> dict[str, Any]:
    """A row as its Parquet files hold them: blocks, a video, what a call showed as pictures of theirs."""
    text = (
        f"{question} Think first, call **crop_video** if needed, then answer. The Video path for this video is: {video}"
    )
    frames = [{"type": "image_url", "image_url": {"url": "crops/0.jpg"}}]
    told = [{"role": "system", "content": [{"type": "text", "text": "You are theirs. <tools>...</tools>"}]}]
    first = [{"type": "video_url", "video_url": {"url": video}}, {"type": "text", "text": text}]
    for number, words in enumerate(said):
        shown = [*frames, {"type": "text", "text": DONE}]
        told.append({"role": "user", "content": first if number == 0 else shown})
        told.append({"role": "assistant", "content": [{"type": "text", "text": words}]})
    return {"id": id, "messages": told}


LOOKS = (
    f"<think>I look.</think>\n{CROP % ('/mnt/theirs/selfqa/clip.mp4', 4, 8.5)}",
    "<think>I see it.</think><answer>B</answer>",
)


SHOWN = (
    "<tool_response>The frames of the video clip are shown below:\n%s</tool_response>continue your reasoning process."
)
ZOOM = '<think>%s</think><video_zoom> {"segment": [%s, %s], "fps": 2} </video_zoom>'
LAST = "Do not call <video_zoom> in this round, give a final answer based on information above."
SAYS_B = "<think>It goes right.</think>\n<answer>\\boxed{B}</answer>"


def labelled(*times: float) -> str:
    return "".join(f"<frame{n}_time{time_s:.2f}s><image>" for n, time_s in enumerate(times))


def zoomer(*told: str, pictures: int = 4, question: str = ASKED) -> dict[str, Any]:
    """A row as its code writes them: text with <image>, the pictures' places beside it."""
    roles = ("assistant", "user")
    messages = [{"role": "system", "content": "Theirs."}, {"role": "user", "content": labelled(0, 2, 4) + question}]
    messages += [{"role": roles[n % 2], "content": text} for n, text in enumerate(told)]
    images = [f"/mnt/bn/sft_images/now/row/{n}.png" for n in range(pictures - 1)] + ["row/last.jpg"]
    return {"messages": messages, "images": images}
