"""Closed pools of fictional values, each in Japanese, English and Chinese.

The pools are small on purpose: a value recurs over many papers and worlds, so a model that has read another world
already knows every string here and only the association from method to value is new. No value is a substring of another
value of its pool, so an answer that contains a value states exactly that value.
"""

from __future__ import annotations

Names = tuple[str, str, str]
"""One thing's name in Japanese, English, Chinese."""

TASKS: tuple[Names, ...] = (
    ("文書要約", "document summarization", "文档摘要"),
    ("機械翻訳", "machine translation", "机器翻译"),
    ("固有表現抽出", "named entity recognition", "命名实体识别"),
    ("質問応答", "question answering", "问答"),
    ("感情分析", "sentiment analysis", "情感分析"),
    ("対話応答生成", "dialogue response generation", "对话回复生成"),
    ("文法誤り訂正", "grammatical error correction", "语法纠错"),
    ("係り受け解析", "dependency parsing", "依存句法分析"),
    ("形態素解析", "morphological analysis", "词法分析"),
    ("語義曖昧性解消", "word sense disambiguation", "词义消歧"),
    ("共参照解析", "coreference resolution", "共指消解"),
    ("関係抽出", "relation extraction", "关系抽取"),
    ("含意関係認識", "textual entailment", "文本蕴含识别"),
    ("キーワード抽出", "keyword extraction", "关键词抽取"),
    ("文書分類", "text classification", "文本分类"),
    ("テキスト平易化", "text simplification", "文本简化"),
    ("言い換え生成", "paraphrase generation", "复述生成"),
    ("有害表現検出", "toxic language detection", "有害内容检测"),
    ("質問生成", "question generation", "问题生成"),
    ("見出し生成", "headline generation", "标题生成"),
    ("談話構造解析", "discourse analysis", "篇章分析"),
    ("略語展開", "abbreviation expansion", "缩略语还原"),
    ("類似文検索", "similar sentence retrieval", "相似句检索"),
    ("表データ説明", "table description", "表格描述"),
)

TASK_GLOSSES: dict[str, tuple[str, str]] = {
    "文書要約": ("長い文章を短くまとめる", "making a long text short"),
    "機械翻訳": ("ある言語の文を別の言語に訳す", "turning a sentence into another language"),
    "固有表現抽出": ("文章から人名や地名を見つける", "finding names of people and places in a text"),
    "質問応答": ("問いに対する答えを返す", "giving the answer to a question"),
    "感情分析": ("文章に表れた気持ちを読み取る", "reading the feeling in a text"),
    "対話応答生成": ("会話の返事を作る", "writing the next reply of a conversation"),
    "文法誤り訂正": ("文の文法の間違いを直す", "repairing the grammar of a sentence"),
    "係り受け解析": ("語と語のつながりを求める", "linking each word to the word it depends on"),
    "形態素解析": ("文を語に分け、品詞を付ける", "splitting a sentence into tagged words"),
    "語義曖昧性解消": ("多義語の意味を一つに定める", "choosing the right meaning of a word"),
    "共参照解析": ("同じものを指す表現を結び付ける", "linking expressions for the same thing"),
    "関係抽出": ("ものとものとの関係を取り出す", "finding how two things are related"),
    "含意関係認識": ("一方の文が他方を意味するか判断する", "judging whether one sentence implies another"),
    "キーワード抽出": ("文章の要となる語を選び出す", "picking the key words of a text"),
    "文書分類": ("文章を種類ごとに分ける", "sorting texts into classes"),
    "テキスト平易化": ("難しい文をやさしく書き直す", "rewriting hard sentences in easy words"),
    "言い換え生成": ("同じ意味の別の文を作る", "writing another sentence of the same meaning"),
    "有害表現検出": ("人を傷つける表現を見つける", "finding words that hurt people"),
    "質問生成": ("文章から問いを作る", "making questions from a text"),
    "見出し生成": ("記事に短い題を付ける", "giving an article a short title"),
    "談話構造解析": ("文と文のつながりを調べる", "finding how sentences hang together"),
    "略語展開": ("縮めた語を元の形に戻す", "giving the long form of a short form"),
    "類似文検索": ("意味の近い文を探す", "looking up sentences of similar meaning"),
    "表データ説明": ("表の中身を文章で述べる", "telling in words what a table shows"),
}
"""What a task means in everyday words (Japanese, English), by its Japanese name."""

AUTHORS: tuple[Names, ...] = tuple(
    (kanji, romaji, kanji)
    for kanji, romaji in (
        ("霧沢悠真", "Yuma Kirisawa"), ("榛木千尋", "Chihiro Haruki"), ("水無月蓮", "Ren Minazuki"),
        ("夕凪美緒", "Mio Yunagi"), ("葉室拓海", "Takumi Hamuro"), ("雪代紗季", "Saki Yukishiro"),
        ("鳴瀬航平", "Kohei Naruse"), ("星ヶ谷結衣", "Yui Hoshigaya"), ("藤沼亮介", "Ryosuke Fujinuma"),
        ("風早詩織", "Shiori Kazahaya"), ("月城颯太", "Sota Tsukishiro"), ("氷室真帆", "Maho Himuro"),
        ("朝霧健吾", "Kengo Asagiri"), ("若菜晴香", "Haruka Wakana"), ("深見大智", "Daichi Fukami"),
        ("花房里奈", "Rina Hanabusa"), ("時任直樹", "Naoki Tokito"), ("桐生院彩", "Aya Kiryuin"),
        ("海老沢翼", "Tsubasa Ebisawa"), ("雲井小春", "Koharu Kumoi"), ("白鷺隼人", "Hayato Shirasagi"),
        ("柊木奈々", "Nana Hiiragi"), ("瀬戸内勇", "Isamu Setouchi"), ("麻生田遥", "Haru Asoda"),
        ("琴平誠司", "Seiji Kotohira"), ("茅野沙也", "Saya Kayano"), ("宵宮和馬", "Kazuma Yoimiya"),
        ("橘川夏希", "Natsuki Kikkawa"), ("御影陽介", "Yosuke Mikage"), ("空閑由佳", "Yuka Kuga"),
        ("嵐山哲也", "Tetsuya Arashiyama"), ("七種友梨", "Yuri Saegusa"), ("芦原慎吾", "Shingo Ashihara"),
        ("明星香織", "Kaori Akeboshi"), ("砂川原輝", "Hikaru Sunagawara"), ("木蓮寺円", "Madoka Mokurenji"),
        ("黒曜新", "Arata Kokuyo"), ("灯野美月", "Mizuki Hino"), ("早蕨透", "Toru Sawarabi"),
        ("東雲玲子", "Reiko Shinonome"),
    )
)  # fmt: skip

ORGANISATIONS: tuple[Names, ...] = (
    ("霧浜大学", "Kirihama University", "雾滨大学"),
    ("翠嶺工科大学", "Suirei Institute of Technology", "翠岭工科大学"),
    ("北灯言語研究所", "Hokuto Language Laboratory", "北灯语言研究所"),
    ("青嵐情報大学", "Seiran Information University", "青岚信息大学"),
    ("白樫技術研究所", "Shirakashi Research Laboratory", "白樫技术研究所"),
    ("月見原大学", "Tsukimihara University", "月见原大学"),
    ("銀河台大学", "Gingadai University", "银河台大学"),
    ("潮風電機", "Shiokaze Electric", "潮风电机"),
    ("夕映ソフト", "Yubae Software", "夕映软件"),
    ("雲海データ研究所", "Unkai Data Laboratory", "云海数据研究所"),
    ("松籟大学", "Shorai University", "松籁大学"),
    ("紅葉谷工業大学", "Momijidani Technical University", "红叶谷工业大学"),
    ("蒼穹通信", "Sokyu Telecom", "苍穹通信"),
    ("花筏文化大学", "Hanaikada College", "花筏文化大学"),
    ("雪原知能研究所", "Setsugen Intelligence Institute", "雪原智能研究所"),
    ("風待大学", "Kazemachi University", "风待大学"),
    ("琥珀技研", "Kohaku Engineering", "琥珀技研"),
    ("星霜大学", "Seiso University", "星霜大学"),
    ("水鏡言語工房", "Mizukagami Language Works", "水镜语言工坊"),
    ("若竹計算機センター", "Wakatake Computing Center", "若竹计算中心"),
    ("緋扇大学", "Hiogi University", "绯扇大学"),
    ("朝凪システム", "Asanagi Systems", "朝凪系统"),
    ("玻璃島大学", "Harijima University", "玻璃岛大学"),
    ("木霊書房研究室", "Kodama Press Laboratory", "木灵书房研究室"),
)

BASE_MODELS: tuple[Names, ...] = tuple(
    (f"{kana}LM", f"{romaji}-LM", f"{kana}LM")
    for kana, romaji in (
        ("ミズナラ", "Mizunara"),
        ("ハルカゼ", "Harukaze"),
        ("アサギリ", "Asagiri"),
        ("ユウヅキ", "Yuzuki"),
        ("コモレビ", "Komorebi"),
        ("シラカバ", "Shirakaba"),
        ("カワセミ", "Kawasemi"),
        ("ヤマブキ", "Yamabuki"),
        ("ホタルビ", "Hotarubi"),
        ("ツユクサ", "Tsuyukusa"),
        ("ウミネコ", "Umineko"),
        ("イワツバメ", "Iwatsubame"),
        ("ナナカマド", "Nanakamado"),
        ("オボロヅキ", "Oborozuki"),
        ("スズカケ", "Suzukake"),
        ("フユゾラ", "Fuyuzora"),
    )
)

DATASET_NAMES: tuple[Names, ...] = tuple(
    (f"{kana}コーパス", f"the {romaji} corpus", f"{kanji}语料库")
    for kana, romaji, kanji in (
        ("みなと", "Minato", "港"),
        ("わたぐも", "Watagumo", "绵云"),
        ("こだま", "Kodama", "回声"),
        ("いずみ", "Izumi", "泉"),
        ("はなび", "Hanabi", "烟花"),
        ("うずしお", "Uzushio", "涡潮"),
        ("すみれ", "Sumire", "堇菜"),
        ("たそがれ", "Tasogare", "黄昏"),
        ("ひばり", "Hibari", "云雀"),
        ("まつかぜ", "Matsukaze", "松风"),
    )
)

METRICS: tuple[Names, ...] = (
    ("正解率", "accuracy", "准确率"),
    ("F値", "F1", "F1值"),
    ("適合率", "precision", "精确率"),
    ("再現率", "recall", "召回率"),
)

DATASET_SIZES: tuple[int, ...] = tuple(1200 + 1100 * step for step in range(40))
"""1,200 to 44,100 items."""

SCORES: tuple[float, ...] = tuple(round(52.3 + 0.7 * step, 1) for step in range(60))
"""52.3 to 93.6 on a 0.1 grid."""

YEARS: tuple[int, ...] = tuple(range(2016, 2026))

RELATIONS: tuple[str, ...] = ("extends", "compares", "uses_data")

METHOD_STEMS: tuple[tuple[str, str], ...] = (
    ("カスミ", "Kasumi"), ("コダマ", "Kodama"), ("ミヤビ", "Miyabi"), ("ツバキ", "Tsubaki"), ("アヤメ", "Ayame"),
    ("イブキ", "Ibuki"), ("ウグイス", "Uguisu"), ("エニシダ", "Enishida"), ("オトワ", "Otowa"),
    ("カゲロウ", "Kagero"), ("キキョウ", "Kikyo"), ("クスノキ", "Kusunoki"), ("ケヤキ", "Keyaki"),
    ("コスモ", "Kosumo"), ("サザナミ", "Sazanami"), ("シグレ", "Shigure"), ("スミレ", "Sumire"),
    ("セセラギ", "Seseragi"), ("ソヨカゼ", "Soyokaze"), ("タチバナ", "Tachibana"), ("チドリ", "Chidori"),
    ("ツムジ", "Tsumuji"), ("テマリ", "Temari"), ("トモシビ", "Tomoshibi"), ("ナズナ", "Nazuna"),
    ("ニジマス", "Nijimasu"), ("ヌマタ", "Numata"), ("ネムノキ", "Nemunoki"), ("ノギク", "Nogiku"),
    ("ハヤテ", "Hayate"), ("ヒグラシ", "Higurashi"), ("フブキ", "Fubuki"), ("ホウキ", "Houki"),
    ("マツリ", "Matsuri"), ("ミゾレ", "Mizore"), ("ムラサメ", "Murasame"), ("メジロ", "Mejiro"),
    ("モミジ", "Momiji"), ("ヤドリギ", "Yadorigi"), ("ユキヤナギ", "Yukiyanagi"), ("ヨモギ", "Yomogi"),
    ("リンドウ", "Rindo"), ("ルリビ", "Ruribi"), ("レンゲ", "Renge"), ("ワカバ", "Wakaba"), ("アラレ", "Arare"),
    ("イナヅマ", "Inazuma"), ("ウミホタル", "Umihotaru"), ("オリヅル", "Orizuru"), ("カエデ", "Kaede"),
    ("キツツキ", "Kitsutsuki"), ("クヌギ", "Kunugi"), ("ケムリ", "Kemuri"), ("コガラシ", "Kogarashi"),
    ("サギリ", "Sagiri"), ("シズク", "Shizuku"), ("スミゾメ", "Sumizome"), ("タンポポ", "Tanpopo"),
    ("ツララ", "Tsurara"), ("トンボ", "Tonbo"), ("ナギサ", "Nagisa"), ("ハマカゼ", "Hamakaze"),
    ("ヒナゲシ", "Hinageshi"), ("フジナミ", "Fujinami"),
)  # fmt: skip
"""First halves of the invented method names, in katakana and romanised."""

METHOD_SUFFIXES: tuple[str, ...] = (
    "Net", "Flow", "Mix", "Loop", "Gate", "Tree", "Wave", "Lens", "Path", "Link", "Nest", "Ring", "Fold", "Span",
    "Weave", "Chain", "Bridge", "Grid", "Pulse", "Spark", "Stream", "Tower", "Port", "Vista", "Craft", "Drift",
    "Forge", "Glide", "Hinge", "Knot", "Ladder", "Mosaic", "Nova", "Orbit", "Prism", "Quilt",
)  # fmt: skip
"""Second halves, in Latin letters."""
