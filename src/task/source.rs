//! Where the files of the built-in tasks are published.
//!
//! Addresses are those of GLUE's own download script, SQuAD's page and SWAG's repository. Sizes and
//! SHA-256 are those that Hugging Face's `datasets` (`dataset_infos.json` of glue, squad_v2, swag)
//! and TensorFlow Datasets (`url_checksums` of glue, squad) list for these addresses.

/// Where a task's files come from.
#[derive(Debug)]
pub struct Source {
    /// The task's name.
    pub task: &'static str,
    /// What is downloaded; empty where the files cannot be downloaded freely.
    pub downloads: &'static [Download],
    /// Where people read about the data set; where it cannot be downloaded, how to get it.
    pub page: &'static str,
    /// The terms, as they are commonly stated.
    pub licence: &'static str,
    /// The publication to cite.
    pub citation: &'static str,
}

/// A published file.
#[derive(Debug)]
pub struct Download {
    /// Its official address.
    pub url: &'static str,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: &'static str,
    /// What it is for the task.
    pub holds: Holds,
}

/// What a published file is for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A file of the task's folder, of this name.
    File(&'static str),
    /// A zip archive with the task's files.
    Archive,
}

/// The source of a built-in task's files; `None` for a user's own task, and for one whose texts are
/// the user's own.
pub fn source(task: &str) -> Option<&'static Source> {
    SOURCES.iter().find(|source| source.task == task)
}

/// The folder of GLUE's files.
macro_rules! glue {
    ($name:literal) => {
        concat!("https://dl.fbaipublicfiles.com/glue/data/", $name)
    };
}

const fn archive(url: &'static str, bytes: u64, sha256: &'static str) -> Download {
    Download { url, bytes, sha256, holds: Holds::Archive }
}

const fn file(url: &'static str, name: &'static str, bytes: u64, sha256: &'static str) -> Download {
    Download { url, bytes, sha256, holds: Holds::File(name) }
}

const GLUE: &str = "Wang et al., 2019. GLUE: A multi-task benchmark and analysis platform for natural \
                    language understanding. ICLR.";
const SQUAD_PAGE: &str = "https://rajpurkar.github.io/SQuAD-explorer/";

static SOURCES: [Source; 14] = [
    Source {
        task: "cola",
        downloads: &[archive(
            glue!("CoLA.zip"),
            376_971,
            "f212fcd832b8f7b435fb991f101abf89f96b933ab400603bf198960dfc32cbff",
        )],
        page: "https://nyu-mll.github.io/CoLA/",
        licence: "for research; the sentences are from published works on linguistics",
        citation: "Warstadt, Singh and Bowman, 2018. Neural network acceptability judgments. \
                   arXiv:1805.12471.",
    },
    Source {
        task: "sst2",
        downloads: &[archive(
            glue!("SST-2.zip"),
            7_439_277,
            "d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa",
        )],
        page: "https://nlp.stanford.edu/sentiment/",
        licence: "none is stated; the texts are film reviews from Rotten Tomatoes, use them for research",
        citation: "Socher et al., 2013. Recursive deep models for semantic compositionality over a \
                   sentiment treebank. EMNLP.",
    },
    Source {
        task: "mrpc",
        downloads: &[
            file(
                glue!("mrpc_dev_ids.tsv"),
                "dev_ids.tsv",
                6_222,
                "971d7767d81b997fd9060ade0ec23c4fc31cbb226a55d1bd4a1bac474eb81dc7",
            ),
            file(
                "https://dl.fbaipublicfiles.com/senteval/senteval_data/msr_paraphrase_train.txt",
                "msr_paraphrase_train.txt",
                1_047_044,
                "60a9b09084528f0673eedee2b69cb941920f0b8cd0eeccefc464a98768457f89",
            ),
            file(
                "https://dl.fbaipublicfiles.com/senteval/senteval_data/msr_paraphrase_test.txt",
                "msr_paraphrase_test.txt",
                441_275,
                "a04e271090879aaba6423d65b94950c089298587d9c084bf9cd7439bd785f784",
            ),
        ],
        page: "https://www.microsoft.com/en-us/download/details.aspx?id=52398",
        licence: "Microsoft Research's licence for research",
        citation: "Dolan and Brockett, 2005. Automatically constructing a corpus of sentential \
                   paraphrases. IWP.",
    },
    Source {
        task: "stsb",
        downloads: &[archive(
            glue!("STS-B.zip"),
            802_872,
            "e60a6393de5a8b5b9bac5020a1554b54e3691f9d600b775bd131e613ac179c85",
        )],
        page: "http://ixa2.si.ehu.es/stswiki/index.php/STSbenchmark",
        licence: "scores CC BY-SA 4.0; the texts have their own terms, in the file LICENSE.txt",
        citation: "Cer et al., 2017. SemEval-2017 task 1: Semantic textual similarity. \
                   arXiv:1708.00055.",
    },
    Source {
        task: "qqp",
        downloads: &[archive(
            glue!("QQP-clean.zip"),
            41_696_084,
            "40e7c862c04eb26ee04b67fd900e76c45c6ba8e6d8fab4f8f1f8072a1a3fbae0",
        )],
        page: "https://quoradata.quora.com/First-Quora-Dataset-Release-Question-Pairs",
        licence: "Quora's terms of service, not for commercial use",
        citation: "Iyer, Dandekar and Csernai, 2017. First Quora dataset release: Question pairs.",
    },
    Source {
        task: "mnli",
        downloads: &[archive(
            glue!("MNLI.zip"),
            312_783_507,
            "e7c1d896d26ed6caf700110645df426cc2d8ebf02a5ab743d5a5c68ac1c83633",
        )],
        page: "https://cims.nyu.edu/~sbowman/multinli/",
        licence: "most of it the OANC's licence (free use), parts CC BY 3.0 and CC BY-SA 3.0",
        citation: "Williams, Nangia and Bowman, 2018. A broad-coverage challenge corpus for sentence \
                   understanding through inference. NAACL.",
    },
    Source {
        task: "qnli",
        downloads: &[archive(
            glue!("QNLIv2.zip"),
            10_627_589,
            "e634e78627a29adaecd4f955359b22bf5e70f2cbd93b493f2d624138a0c0e5f5",
        )],
        page: SQUAD_PAGE,
        licence: "made from SQuAD, CC BY-SA 4.0",
        citation: GLUE,
    },
    Source {
        task: "rte",
        downloads: &[archive(
            glue!("RTE.zip"),
            697_150,
            "6bf86de103ecd335f3441bd43574d23fef87ecc695977a63b82d5efb206556ee",
        )],
        page: "https://aclweb.org/aclwiki/Recognizing_Textual_Entailment",
        licence: "none is stated (PASCAL RTE 1, 2, 3 and 5), use it for research",
        citation: "Dagan et al., 2006; Bar Haim et al., 2006; Giampiccolo et al., 2007; Bentivogli et \
                   al., 2009. The PASCAL recognizing textual entailment challenges.",
    },
    Source {
        task: "wnli",
        downloads: &[archive(
            glue!("WNLI.zip"),
            28_999,
            "ae0e8e4d16f4d46d4a0a566ec7ecceccfd3fbfaa4a7a4b4e02848c0f2561ac46",
        )],
        page: "https://cs.nyu.edu/~davise/papers/WinogradSchemas/WS.html",
        licence: "commonly given as CC BY 4.0; GLUE states none",
        citation: "Levesque, Davis and Morgenstern, 2012. The Winograd schema challenge. KR.",
    },
    Source {
        task: "ax",
        downloads: &[file(
            glue!("AX.tsv"),
            "AX.tsv",
            222_257,
            "0e13510b1bb14436ff7e2ee82338f0efb0133ecf2e73507a697dc210db3f05fd",
        )],
        page: "https://gluebenchmark.com/diagnostics",
        licence: "none is stated",
        citation: GLUE,
    },
    Source {
        task: "squad",
        downloads: &[
            file(
                "https://rajpurkar.github.io/SQuAD-explorer/dataset/train-v1.1.json",
                "train-v1.1.json",
                30_288_272,
                "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955",
            ),
            file(
                "https://rajpurkar.github.io/SQuAD-explorer/dataset/dev-v1.1.json",
                "dev-v1.1.json",
                4_854_279,
                "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9",
            ),
        ],
        page: SQUAD_PAGE,
        licence: "CC BY-SA 4.0",
        citation: "Rajpurkar et al., 2016. SQuAD: 100,000+ questions for machine comprehension of \
                   text. EMNLP.",
    },
    Source {
        task: "squad2",
        downloads: &[
            file(
                "https://rajpurkar.github.io/SQuAD-explorer/dataset/train-v2.0.json",
                "train-v2.0.json",
                42_123_633,
                "68dcfbb971bd3e96d5b46c7177b16c1a4e7d4bdef19fb204502738552dede002",
            ),
            file(
                "https://rajpurkar.github.io/SQuAD-explorer/dataset/dev-v2.0.json",
                "dev-v2.0.json",
                4_370_528,
                "80a5225e94905956a6446d296ca1093975c4d3b3260f1d6c8f68bc2ab77182d8",
            ),
        ],
        page: SQUAD_PAGE,
        licence: "CC BY-SA 4.0",
        citation: "Rajpurkar, Jia and Liang, 2018. Know what you don't know: Unanswerable questions \
                   for SQuAD. ACL.",
    },
    Source {
        task: "swag",
        downloads: &[
            file(
                "https://raw.githubusercontent.com/rowanz/swagaf/master/data/train.csv",
                "train.csv",
                28_243_333,
                "5748b51126ac255c5a6f26e1ba473b51116d6c822aeb25e63ecba282c9d0e610",
            ),
            file(
                "https://raw.githubusercontent.com/rowanz/swagaf/master/data/val.csv",
                "val.csv",
                7_893_588,
                "c0497b2cd7f3e6b7df995524b1853f62285d60d110d659b19545ca80b2903234",
            ),
            file(
                "https://raw.githubusercontent.com/rowanz/swagaf/master/data/test.csv",
                "test.csv",
                7_817_885,
                "a689a1a4e892a65ca625c1f0fcf77bcce004b59ad1caeb134ca5ec080a711cb6",
            ),
        ],
        page: "https://rowanzellers.com/swag/",
        licence: "MIT",
        citation: "Zellers et al., 2018. SWAG: A large-scale adversarial dataset for grounded \
                   commonsense inference. EMNLP.",
    },
    Source {
        task: "conll2003",
        downloads: &[],
        page: "the Reuters texts are given to research groups after an agreement with NIST \
               (https://trec.nist.gov/data/reuters/reuters.html); with them the scripts of \
               https://www.clips.uantwerpen.be/conll2003/ner/ make the files",
        licence: "for research, not to be passed on",
        citation: "Tjong Kim Sang and De Meulder, 2003. Introduction to the CoNLL-2003 shared task. \
                   CoNLL.",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::task::{Head, tasks};

    #[test]
    fn every_task_but_the_one_on_own_texts_has_a_source() {
        for task in tasks() {
            assert_eq!(source(&task.name).is_some(), task.head != Head::Masked, "{}", task.name);
        }
        let names: HashSet<_> = SOURCES.iter().map(|source| source.task).collect();
        assert_eq!(names.len(), SOURCES.len());
    }

    #[test]
    fn every_row_has_sound_addresses_hashes_and_terms() {
        for source in &SOURCES {
            assert!(!source.licence.is_empty() && !source.citation.is_empty(), "{}", source.task);
            for download in source.downloads {
                assert!(download.url.starts_with("https://"), "{}", download.url);
                assert!(download.bytes > 1000, "{}", download.url);
                let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                assert!(download.sha256.len() == 64 && download.sha256.chars().all(hexadecimal));
            }
        }
        let hashes: Vec<_> = SOURCES.iter().flat_map(|s| s.downloads).map(|d| d.sha256).collect();
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), hashes.len());
    }

    #[test]
    fn files_that_are_not_in_an_archive_are_those_that_the_task_reads() {
        for task in tasks().iter().filter(|task| task.name != "mrpc") {
            for download in source(&task.name).map_or(&[][..], |source| source.downloads) {
                if let Holds::File(name) = download.holds {
                    assert!(task.splits().any(|split| split.file == name), "{}: {name}", task.name);
                }
            }
        }
    }
}
