"""`tiny`: an encoder of random weights and a small vocabulary of its own, for tests offline."""

import numpy as np

from .config import EncoderConfig

_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_ENDINGS = """
able al ance ant ate ation ed en ence ent er ers es est ful ic ies ily ing ings ion ions ish ism ist
ity ive ize less ly ment ness or ous s sion th tion ure y
"""
_WORDS = """
a about above across act action actor actors add after again against age ago air all almost alone
along already also although always am amazing among an ancient and angry animal another answer any
anyone anything appear are area arm army around arrive art as ask asked at ate aunt autumn away
awful baby back bad bag ball band bank bar base battle be beach bear beautiful became because
become bed been before began begin behind being believe bell below beside best better between
beyond big bird birth bit bitter black blood blue board boat body bone book books bored boring born
both bottle bottom bought box boy brain brave bread break breakfast bridge bright brilliant bring
broke broken brother brought brown build building built burn bus business busy but butter buy by
cake call called calm came camera can capital car card care careful carry case cast castle cat
catch caught cause cell centre century certain chair chance change chapter character characters
charming cheap cheese child children choice choose church circle city class clean clear clever
climb clock close clothes cloud club coast coat coffee cold collect college colour come comedy
comes common company complete computer contain cook cool corner cost could council count country
course court cover cow create cried crime crowd cup cut dance danger dark data date daughter day
days dead deal dear death decide deep delightful desert design desk did die died different
difficult dinner direct director dirty disappointing discover dish distance do doctor does dog dogs
done door doubt down draw dream dress drink drive drop dry due dull during dust duty each ear early
earn earth east easy eat edge effect effort egg eight either electric eleven else empire empty end
ended ending energy engine engineer enjoy enough enter entire equal error even evening event ever
every everyone everything exact example excellent except exciting expect explain express eye eyes
face fact factory failed fall false family famous fan far farm fast father fear feel feeling feet
fell felt few field fight figure fill film films final find fine finger fire first fish five flat
flight floor flow flower fly follow food foot for force foreign forest forget form forward found
four free fresh friend friends from front fruit full fun funny further future game garden gas gate
gave general get gift girl give glad glass go goal god goes going gold gone good got government
grand grass great green grew grey ground group grow guess guide had hair half hall hand hands
happen happy hard has hat hate have he head health hear heard heart heat heavy held hello help her
here hers herself hidden high hill him himself his history hit hold hole holiday home honest hope
horrible horse hospital hot hotel hour hours house how however human hundred hungry hurt husband i
ice idea if ill image important in inside interest into iron is island it its itself job join
journey judge jump just keep kept key kill kind king kitchen knew know known lack lady lake land
language large last late later laugh law lay lead leader leaf learn least leave left leg lesson let
letter level library lie life light like likely line lips list listen little live lived lives local
long look looked lose loss lost lot loud love loved low luck lunch machine made main make makes
making man many map march mark market married mass master match material matter may maybe me meal
mean meat meet member memory men message met metal method middle might mile milk million mind mine
minister minute mirror miss model modern moment money month months moon more morning most mother
mountain mouth move moved movie movies much museum music must my myself name narrow nation nature
near nearly neck need neighbour neither never new news next nice night nine no nobody noise none
nor normal north nose not note nothing now number object ocean of off offer office officer often
oil old on once one only open opinion or orange order other our out outside over own page paid pain
paint pair paper parent park part party pass past path pay peace pen people perfect perhaps period
person phone photo piece place plain plan plane planet plant plate play played player please plot
pocket poem point police poor popular position possible post pound power present president press
pretty price prince private prize problem produce program promise proof protect proud public pull
pure push put quality queen question quick quiet quite race radio rail rain raise ran rate rather
reach read ready real really reason receive record red region remain remember repeat reply report
rest result return rich ride right ring rise river road rock room rose round row rule run sad safe
said sail salt same sand sat save saw say says scene school science script sea season seat second
secret see seem seen self sell send sense sent serious serve service set seven several shade shadow
shake shape share sharp she sheep ship shirt shoe shop short should show shut sick side sight sign
silent silver simple since sing single sister sit situation six size skill skin sky sleep slow
small smart smell smile smooth snow so soft soil sold soldier solve some someone something
sometimes son song soon sorry sort sound soup south space speak special speed spell spend spent
spirit spoke sport spring square staff stage stand star start state station stay steel step still
stone stood stop store storm story straight strange street strong student study stupid style such
sudden sugar summer sun superb supper supply sure surprise sweet swim system table take taken tale
talk tall taste tax tea teach teacher team tears tell ten term terrible test than thank that the
theatre their them then there these they thick thin thing things think third this those though
thought thousand three threw through throw time times tired title to today together told tomorrow
tone too took tooth top total touch toward town track trade train travel tree trial trip trouble
true trust truth try turn twelve twenty twice two type ugly uncle under understand university until
up upon us use used usual valley value various very view village visit voice wait walk wall want
war warm was wash waste watch water wave way we weak wear weather week weight welcome well went
were west wet what wheel when where which while white who whole whom whose why wide wife wild will
win wind window wine wing winter wise wish with within without woman women won wonder wonderful
wood word words work worker world worse worst worth would write writer wrong wrote yard year years
yellow yes yesterday yet you young your yourself zero
"""


def vocabulary() -> list[str]:
    """The vocabulary in the order of its ids."""
    pieces = [
        *_SPECIALS,
        *_PUNCTUATION,
        *_DIGITS,
        *(f"##{c}" for c in _DIGITS),
        *_LETTERS,
        *(f"##{c}" for c in _LETTERS),
        *(f"##{ending}" for ending in _ENDINGS.split()),
        *_WORDS.split(),
    ]
    # "a" and "i" are letters and words, "##s" and "##y" letters and endings.
    return list(dict.fromkeys(pieces))


def config() -> EncoderConfig:
    """2 layers, 32 wide. The weights are drawn wider than BERT's, whose deviation of 0.02 would
    hide the words from the first token at this width."""
    return EncoderConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        vocab_size=len(vocabulary()),
        max_position_embeddings=128,
        initializer_range=0.1,
    )


def tensors(seed: int) -> dict[str, np.ndarray]:
    """Random weights under Hugging Face's names: normal, biases 0, LayerNorm's scales 1."""
    sizes, random = config(), np.random.default_rng(seed)

    def draw(name, shape):
        if name.endswith("LayerNorm.weight"):
            return np.ones(shape, np.float32)
        if name.endswith(".bias"):
            return np.zeros(shape, np.float32)
        return (random.standard_normal(shape) * sizes.initializer_range).astype(np.float32)

    return {name: draw(name, shape) for name, shape in sizes.tensor_shapes().items()}
