"""Titles that say nothing about which document it is: "Overview", "1. Introduction", "Report of May", 「はじめに」.

Two documents of such a title are not two editions of one. A title is generic if nothing is left of it once numbers,
dates and the words that everybody uses are taken away; one word of its own ("Overview of Kasumi") makes it a title.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from nemo_kcpt.cleaning.headings import known_name
from nemo_kcpt.cleaning.scripts import display_width

SPECIFIC = 24
"""Columns from which a section's heading ("Architecture" has 12) tells its document from others."""

_ENGLISH = """
a about abstract acknowledgements acknowledgments agenda an analysis and annual appendices appendix april article
august background basics bibliography brief by changelog changes chapter checklist conclusion conclusions configuration
contact content contents contributing daily data day december description design details discussion doc docs document
documentation documents draft evaluation example examples experiment experiments faq february fiscal final first for
foreword frequently asked questions friday from future general getting glossary guide guideline guidelines handbook help
history home how in index information installation installing intro introduction introductory issue january july june
last license limitations list log main manual march material materials may meeting memo memorandum method methodology
methods minutes miscellaneous monday month monthly my new news newsletter next no note notes notice november number
october of old on our outline overview page part preface preliminaries problem project proposal purpose quarter
quarterly quick quickstart readme reference references related release report reports requirements result results
review revision rev s saturday scope second section september setup sheet slides specification start started status
summary sunday support table team terms test tests the third this thursday title to toc topics troubleshooting tuesday
tutorial untitled update updates usage use user using v ver version volume vol wednesday week weekly welcome what work
works year yearly your jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun q
einleitung einführung überblick übersicht zusammenfassung inhalt inhaltsverzeichnis fazit vorwort anhang protokoll
bericht introducción resumen índice contenido conclusiones presentación aperçu résumé sommaire présentation introduzione
panoramica sommario introdução visão geral введение обзор содержание заключение
"""
_WORDS = frozenset(_ENGLISH.split())

_UNSPACED = """
はじめに 始めに 初めに おわりに 終わりに むすびに まえがき 前書き あとがき 後書き 序文 序論 序章 序 緒言 緒論 本論
結論 結語 結び 概要 概説 概観 概略 要旨 要約 抄録 まとめ 目次 索引 用語集 用語 付録 補遺 資料 参考資料 参考文献 文献
背景 目的 方法 手法 結果 考察 評価 実験 分析 議論 課題 今後の課題 研究 関連研究 先行研究 準備 導入 紹介 ご紹介 ご案内
案内 お知らせ 通知 告知 ニュース 説明 説明書 取扱説明書 使い方 使用方法 利用方法 利用規約 規約 手順 手順書 操作手順
インストール 設定 環境構築 構成 仕様 仕様書 設計 設計書 要件 要件定義 要件定義書 マニュアル ガイド ガイドライン 手引き
手引 入門 基礎 基本 チュートリアル クイックスタート リファレンス よくある質問 質問 回答 注意 注意事項 留意事項 備考
メモ 覚書 ノート 議事録 会議 会議録 打ち合わせ 定例 定例会 定例会議 議題 報告 報告書 レポート 月報 週報 日報 年報 月次
週次 日次 年次 四半期 半期 月例 中間 最終 進捗 状況 現状 計画 計画書 予定 提案 提案書 企画 企画書 一覧 一覧表 表 図
図表 リスト 記録 履歴 変更履歴 更新履歴 改訂履歴 更新 変更 改訂 文書 書類 資料集 ドキュメント ページ ホーム トップ
本文 本編 全体 全般 その他 無題 タイトル 題名 テスト サンプル 例 例題 問題 について に関する における の と 及び
および および 第 章 節 部 編 回 号 版 巻 頁 年 月 日 年度 上期 下期 上半期 下半期 令和 平成 昭和 元 前編 後編 中編 上
中 下 改 新 旧 本書 本稿 この 文章 謝辞 プロジェクト システム サービス 製品 業務 一 二 三 四 五 六 七 八 九 十 概述
简介 簡介 引言 前言 介绍 介紹 摘要 总结 總結 结论 結論 目录 目錄 附录 附錄 说明 說明 绪论 緒論 概论 使用说明 报告 報告
会议记录 會議記錄 개요 소개 서론 머리말 목차 요약 결론 부록 안내 들어가며 맺음말 보고서 회의록 월간 주간
"""
_PHRASES = sorted(_UNSPACED.split(), key=len, reverse=True)
_ANY_PHRASE = re.compile("|".join(map(re.escape, _PHRASES)))
_WORD = re.compile(r"[^\W\d_]+")
_SPACED = re.compile(r"[\u0000-\u058f]+")


def is_generic(title: str) -> bool:
    """Whether nothing in a title tells its document from others."""
    if known_name(title):
        return True
    plain = unicodedata.normalize("NFKC", title).casefold()
    rest = _ANY_PHRASE.sub(" ", plain)
    words = _WORD.findall(rest)
    # A Latin word cut by a phrase of another script keeps its letters; single letters number sections and appendices.
    return all(_SPACED.fullmatch(word) is not None and (word in _WORDS or len(word) == 1) for word in words)


def says_nothing(title: str, sections: Sequence[Mapping[str, Any]]) -> bool:
    """Whether documents may share a title by chance: a generic one, or a short heading of a mere section.

    Args:
        title: of the document.
        sections: its headings, with `title` and `level`.
    """
    levels = [section["level"] for section in sections if section["title"] == title]
    return is_generic(title) or (bool(levels) and min(levels) > 1 and display_width(title) < SPECIFIC)
