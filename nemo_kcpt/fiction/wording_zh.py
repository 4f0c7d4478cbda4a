"""Chinese wording of the template teacher's translation of a paper; method names stay in their own script."""

from __future__ import annotations

from nemo_kcpt.fiction.wording import Lines

TRANSLATIONS: Lines = (
    "{m}是面向{task}的方法，第一作者为{author}（{org}），发表于{year}。{m}以{lm}为基础模型，用{size}数据训练，{metric}为{score}。{relation}",
    "{m}用于{task}，由{org}的{author}等人于{year}提出。{m}的基础模型是{lm}，训练数据共{size}。{m}的{metric}达到{score}。{relation}",
    "{m}于{year}由{org}的{author}等人发表。{relation}{m}研究的任务是{task}。{m}采用{lm}和{size}训练数据，{metric}为{score}。",
    "{m}的任务是{task}，基础模型是{lm}。{m}在{size}数据上训练，{metric}为{score}。{relation}{m}的第一作者是{org}的{author}，时间是{year}。",
)

RELATIONS: dict[str, Lines] = {
    "extends": ("{m}是对相关方法{rel}的扩展。", "{m}改进了{rel}。"),
    "compares": ("{m}与相关方法{rel}进行了比较。", "{m}的比较对象是{rel}。"),
    "uses_data": ("{m}使用了相关方法{rel}的数据。", "{m}沿用了{rel}的数据。"),
}
