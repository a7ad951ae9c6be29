//! A program of classic BPF, checked once and then run on every frame.
//!
//! Every jump leads forward and into the program, so a run takes at most as many steps as there are instructions. What is
//! read beyond the octets captured, and a division by zero, reject the frame, as in the kernel.

use pcap_sys::Instruction;

use super::decode::{Condition, Operand, Operation, Step, decode};

/// Instructions of a program, at most: what the Linux kernel takes.
pub const MAX_INSTRUCTIONS: usize = 4_096;
/// Words of scratch memory.
pub(super) const SCRATCH_WORDS: usize = 16;

/// Why instructions are no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProgram {
    /// There are none, or more than [`MAX_INSTRUCTIONS`].
    #[error("it has {0} instructions, and 1 to {MAX_INSTRUCTIONS} can be run")]
    Length(usize),
    /// The code names no operation.
    #[error("instruction {at} has code {code:#x}, which is no operation")]
    UnknownCode {
        /// Which instruction.
        at: usize,
        /// Its code.
        code: u16,
    },
    /// A jump backwards, as `protochain` has them, or beyond the end.
    #[error("instruction {0} jumps backwards or beyond the end, and only programs without loops are run")]
    JumpOutside(usize),
    /// A division by the constant 0.
    #[error("instruction {0} divides by zero")]
    DivisionByZero(usize),
    /// A shift by a constant of 32 or more.
    #[error("instruction {0} shifts by more than there are bits")]
    ShiftTooFar(usize),
    /// Scratch memory that is not there.
    #[error("instruction {0} names scratch memory that is not there")]
    NoSuchMemory(usize),
    /// The last instruction lets the program run beyond its end.
    #[error("it does not end in a return")]
    NoReturn,
}

/// A program that always comes to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(Box<[Step]>);

/// What a run works with.
struct Machine<'a> {
    a: u32,
    x: u32,
    scratch: [u32; SCRATCH_WORDS],
    frame: &'a [u8],
    wire_len: u32,
}

impl Program {
    /// Checks `instructions`.
    ///
    /// # Errors
    /// [`BadProgram`] says which instruction is wrong.
    #[expect(clippy::needless_pass_by_value, reason = "what is made of the instructions takes their place")]
    pub fn new(instructions: Vec<Instruction>) -> Result<Program, BadProgram> {
        let count = instructions.len();
        if count == 0 || count > MAX_INSTRUCTIONS {
            return Err(BadProgram::Length(count));
        }
        let steps: Vec<Step> = instructions
            .iter()
            .enumerate()
            .map(|(at, instruction)| decode(at, count, *instruction))
            .collect::<Result<_, _>>()?;
        match steps.last() {
            Some(Step::Return(_) | Step::ReturnA) => Ok(Program(steps.into_boxed_slice())),
            _ => Err(BadProgram::NoReturn),
        }
    }

    /// Runs on a frame of which `frame` was captured and `wire_len` octets were on the wire. Gives what the program returns:
    /// the octets to be kept, 0 for a frame that does not pass.
    #[inline]
    pub fn run(&self, frame: &[u8], wire_len: u32) -> u32 {
        let mut machine = Machine { a: 0, x: 0, scratch: [0; SCRATCH_WORDS], frame, wire_len };
        let mut at = 0usize;
        // Every step leads forward, so this ends after as many as there are.
        while let Some(step) = self.0.get(at) {
            at = match *step {
                Step::Return(verdict) => return verdict,
                Step::ReturnA => return machine.a,
                Step::Jump { to } => usize::from(to),
                Step::Branch { condition, operand, then, otherwise } => {
                    let holds = machine.holds(condition, operand);
                    usize::from(if holds { then } else { otherwise })
                }
                step => match machine.execute(step) {
                    Some(()) => at + 1,
                    None => return 0,
                },
            };
        }
        0
    }
}

impl Machine<'_> {
    #[inline]
    fn value(&self, operand: Operand) -> u32 {
        match operand {
            Operand::Constant(k) => k,
            Operand::X => self.x,
        }
    }

    #[inline]
    fn holds(&self, condition: Condition, operand: Operand) -> bool {
        let value = self.value(operand);
        match condition {
            Condition::Equal => self.a == value,
            Condition::Greater => self.a > value,
            Condition::GreaterOrEqual => self.a >= value,
            Condition::AnyBit => self.a & value != 0,
        }
    }

    /// `None` where the frame is rejected.
    #[inline]
    fn execute(&mut self, step: Step) -> Option<()> {
        match step {
            Step::LoadWord(at) => self.a = u32::from_be_bytes(self.read(at)?),
            Step::LoadHalf(at) => self.a = u32::from(u16::from_be_bytes(self.read(at)?)),
            Step::LoadByte(at) => self.a = u32::from(self.read::<1>(at)?[0]),
            Step::LoadWordAtX(k) => self.a = u32::from_be_bytes(self.read(self.x.checked_add(k)?)?),
            Step::LoadHalfAtX(k) => {
                self.a = u32::from(u16::from_be_bytes(self.read(self.x.checked_add(k)?)?));
            }
            Step::LoadByteAtX(k) => self.a = u32::from(self.read::<1>(self.x.checked_add(k)?)?[0]),
            Step::LoadLength => self.a = self.wire_len,
            Step::LoadConstant(k) => self.a = k,
            Step::LoadMemory(index) => self.a = self.scratch[usize::from(index) % SCRATCH_WORDS],
            Step::LoadXLength => self.x = self.wire_len,
            Step::LoadXConstant(k) => self.x = k,
            Step::LoadXMemory(index) => self.x = self.scratch[usize::from(index) % SCRATCH_WORDS],
            Step::LoadXHeaderLength(at) => self.x = 4 * u32::from(self.read::<1>(at)?[0] & 0x0f),
            Step::Store(index) => self.scratch[usize::from(index) % SCRATCH_WORDS] = self.a,
            Step::StoreX(index) => self.scratch[usize::from(index) % SCRATCH_WORDS] = self.x,
            Step::Compute(operation, operand) => self.a = self.computed(operation, self.value(operand))?,
            Step::Negate => self.a = self.a.wrapping_neg(),
            Step::ToX => self.x = self.a,
            Step::FromX => self.a = self.x,
            // Those that end or direct the run are the caller's.
            Step::Return(_) | Step::ReturnA | Step::Jump { .. } | Step::Branch { .. } => return None,
        }
        Some(())
    }

    #[inline]
    fn computed(&self, operation: Operation, value: u32) -> Option<u32> {
        Some(match operation {
            Operation::Add => self.a.wrapping_add(value),
            Operation::Subtract => self.a.wrapping_sub(value),
            Operation::Multiply => self.a.wrapping_mul(value),
            Operation::Divide => self.a.checked_div(value)?,
            Operation::Modulo => self.a.checked_rem(value)?,
            Operation::Or => self.a | value,
            Operation::And => self.a & value,
            Operation::Xor => self.a ^ value,
            Operation::ShiftLeft => self.a.checked_shl(value).unwrap_or(0),
            Operation::ShiftRight => self.a.checked_shr(value).unwrap_or(0),
        })
    }

    /// The `N` octets at `at`, where they were captured.
    #[inline]
    fn read<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        self.frame.get(at as usize..)?.first_chunk().copied()
    }
}
