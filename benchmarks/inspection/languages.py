"""Honest sentences in many languages, put together from parts, with the quotation marks and apostrophes they use."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Final

type Parts = tuple[Sequence[str], Sequence[str], Sequence[str]]

_PARTS: Final[Mapping[str, Parts]] = {
    "English": (
        ("O'Neill", 'The "union" of teachers', "Nobody's cat", "She", "Every user or group", "Our script"),
        ("selects 10 items from the table", "drops the case", "can't decide", 'says: "I\'m fine"', "creates a view"),
        (
            "and then sleeps (a lot).",
            "or not; who knows?",
            "-- at 100% & more!",
            "where 2 > 1.",
            "by order of the king.",
        ),
    ),
    "German": (
        ("Der Benutzer", "Die Universität", "Müllers Hündin", "Unser „Verein“", "Jeder Schüler oder Lehrer"),
        (
            "wählt aus der Liste",
            "läuft über 10 % schneller",
            "sagt: „Das war's“",
            "löscht die Einträge",
            "hält's für möglich",
        ),
        (
            "und geht nach Hause.",
            "oder auch nicht; wer weiß?",
            "– für 3,50 € je Stück!",
            "(siehe Übersicht).",
            "am 1. März.",
        ),
    ),
    "French": (
        ("L'utilisateur", "L’école d'été", "Cet élève", "Aujourd'hui, l'équipe", "Quelqu'un"),
        (
            "n'a pas choisi l'option",
            "s'est levé à 8 h",
            "dit : « C'est l'été »",
            "supprime l'entrée",
            "crée une vue d'ensemble",
        ),
        ("et s'en va.", "ou bien l'autre ; qui sait ?", "– 20 % d'économies !", "(voir l'annexe).", "où qu'il soit."),
    ),
    "Spanish": (
        ("El usuario", "La niña", "¿Quién", "Nuestra «unión»", "Cualquier señor o señora"),
        ("selecciona una opción", "corrió 10 km más", "dijo: “está bien”", "borró el año pasado", "creó una tabla"),
        ("y se fue a casa.", "o no; ¿quién sabe?", "por 3,50 € (más IVA).", "¡qué sueño!", "el día 1."),
    ),
    "Italian": (
        ("L'utente", "Un'altra università", "Dell'anno scorso", "La città", "Chi c'è"),
        ("ha scelto l'opzione", "non c'è più", "dice: «Com'è bello»", "cancella l'elenco", "un po' più tardi dorme"),
        ("e se n'è andato.", "o forse no; chissà?", "al 100% dell'importo!", "(vedi l'allegato).", "dov'era prima."),
    ),
    "Portuguese": (
        ("O usuário", "A união", "Nossa irmã", "Quem não", "Cada aluno ou professor"),
        ("seleciona a opção", "não está mais à venda", "disse: “até amanhã”", "apaga o cartão", "cria uma visão"),
        ("e vai à praia.", "ou não; quem sabe?", "por R$ 3,50 (à vista)!", "onde for.", "às 8 h."),
    ),
    "Dutch": (
        ("'s Ochtends de gebruiker", "Foto's", "Z'n oma", "De “unie”", "Elke auto of fiets"),
        ("kiest uit de lijst", "is 10% sneller", "zegt: 'Het is oké'", "verwijdert 't item", "slaapt zo'n uur"),
        ("en gaat naar huis.", "of niet; wie weet?", "– voor € 3,50!", "(zie foto's).", "in 't weekend."),
    ),
    "Polish": (
        ("Użytkownik", "Każda uczelnia", "Nasz „związek”", "Łódź", "Źdźbło"),
        ("wybiera opcję", "śpi 10 godzin", "mówi: „Dzień dobry”", "usunął żółty wpis", "tworzy listę"),
        ("i wraca do domu.", "lub nie; kto wie?", "– za 3,50 zł (brutto)!", "gdzieś.", "o 8:00."),
    ),
    "Turkish": (
        ("Kullanıcı", "İstanbul'da birisi", "Öğrencinin", "Türkiye'nin “birliği”", "Ankara'dan gelen"),
        ("seçeneği seçti", "10 kişiyi gördü", "dedi: “Günaydın”", "kaydı sildi", "tablo oluşturdu"),
        ("ve eve gitti.", "veya gitmedi; kim bilir?", "– %20 indirimle!", "(bkz. Ek'te).", "saat 8'de."),
    ),
    "Vietnamese": (
        ("Người dùng", "Trường đại học", "Ông ấy", "“Liên minh”", "Mỗi học sinh"),
        ("chọn một mục", "ngủ 10 tiếng", "nói: “Chào bạn”", "xoá bảng ghi", "tạo danh sách"),
        ("và về nhà.", "hoặc không; ai biết?", "– giảm 20%!", "(xem phụ lục).", "ở đâu đó."),
    ),
    "Russian": (
        ("Пользователь", "Каждый университет", "Наш «союз»", "Кто-то", "Объект"),
        ("выбирает из списка", "спит 10 часов", "сказал: «Всё хорошо»", "удалил запись", "создаёт таблицу"),
        ("и идёт домой.", "или нет; кто знает?", "— за 3,50 ₽ (со скидкой)!", "где 2 > 1.", "в 8:00."),
    ),
    "Ukrainian": (
        ("Користувач", "Кожна сім'я", "Наш «союз»", "П'ять об'єктів", "Хтось"),
        ("вибирає зі списку", "спить 10 годин", "каже: «Усе гаразд»", "видалив запис", "створює таблицю"),
        ("і йде додому.", "або ні; хто знає?", "— зі знижкою 20%!", "де 2 > 1.", "о п'ятій."),
    ),
    "Greek": (
        ("Ο χρήστης", "Το πανεπιστήμιο", "Η «ένωση» μας", "Κάποιος", "Σ' αυτόν"),
        ("επιλέγει από τη λίστα", "κοιμάται 10 ώρες", "λέει: «Όλα καλά»", "διέγραψε την εγγραφή", "δημιουργεί πίνακα"),
        ("και πάει σπίτι.", "ή όχι· ποιος ξέρει;", "– με έκπτωση 20%!", "όπου 2 > 1.", "στις 8."),
    ),
    "Arabic": (
        ("المستخدم", "كل جامعة", "«الاتحاد»", "شخص ما", "الطالب أو المعلم"),
        ("يختار من القائمة", "ينام ١٠ ساعات", 'قال: "كل شيء بخير"', "حذف السجل", "أنشأ جدولا"),
        ("ثم عاد إلى البيت.", "أو لا؛ من يدري؟", "- بخصم 20%!", "حيث 2 > 1.", "في الساعة 8."),
    ),
    "Hebrew": (
        ("המשתמש", "כל אוניברסיטה", 'ארה"ב', "מישהו", "ג'ורג'"),
        ("בוחר מהרשימה", "ישן 10 שעות", 'אמר: "הכול בסדר"', "מחק את הרשומה", "יצר טבלה"),
        ("והלך הביתה.", "או לא; מי יודע?", "- בהנחה של 20%!", "כאשר 2 > 1.", "בשעה 8."),
    ),
    "Hindi": (
        ("उपयोगकर्ता", "हर विश्वविद्यालय", "'संघ'", "कोई", "छात्र या शिक्षक"),
        ("सूची से चुनता है", "१० घंटे सोता है", 'कहता है: "सब ठीक है"', "रिकॉर्ड हटाता है", "तालिका बनाता है"),
        ("और घर जाता है।", "या नहीं; कौन जाने?", "- 20% छूट पर!", "जहाँ 2 > 1.", "८ बजे।"),
    ),
    "Chinese": (
        ("用户", "每所大学", "“工会”", "有人", "学生或老师"),
        ("从表格中选择10项", "睡了10个小时", "说：“没问题”", "删除了记录", "创建视图"),
        ("，然后回家。", "，或者不；谁知道呢？", "（打八折）！", "，其中2>1。", "；100%。"),
    ),
    "Japanese": (
        ("ユーザーは", "すべての大学が", "「組合」は", "誰かが", "ＡＢＣ社の学生は"),
        ("表から１０件を選び", "10時間眠り", "「大丈夫」と言い", "記録を削除し", "ビューを作り"),
        ("、家に帰る。", "、または帰らない？", "（２０％引き）！", "、ただし2>1。", "；以上です。"),
    ),
    "Korean": (
        ("사용자는", "모든 대학이", "'연합'은", "누군가", "학생 또는 교사가"),
        ("목록에서 10개를 선택하고", "10시간 자고", '"괜찮아"라고 말하고', "기록을 삭제하고", "표를 만들고"),
        ("집에 간다.", "아니면; 누가 알까?", "- 20% 할인!", "2 > 1인 경우.", "8시에."),
    ),
    "Thai": (
        ("ผู้ใช้", "ทุกมหาวิทยาลัย", "“สหภาพ”", "บางคน", "นักเรียนหรือครู"),
        ("เลือกจากรายการ", "นอน ๑๐ ชั่วโมง", 'พูดว่า "ไม่เป็นไร"', "ลบข้อมูล", "สร้างตาราง"),
        ("แล้วกลับบ้าน", "หรือไม่; ใครจะรู้?", "- ลด 20%!", "เมื่อ 2 > 1", "เวลา 8 โมง"),
    ),
}


def sentences() -> Iterator[tuple[str, str]]:
    """Yield a language and a sentence of it, more than a hundred of each."""
    for language, parts in _PARTS.items():
        for sentence in product(*parts):
            yield language, " ".join(sentence)
